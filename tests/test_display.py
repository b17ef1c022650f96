"""What a notebook shows: tables as text and as HTML, figures as SVG for wide and narrow screens."""

import base64
import io
import re
import sys
from pathlib import Path

import docutils.utils
import numpy as np
import pandas as pd
import pytest
from docutils import nodes
from sphinx import addnodes

from gru_lite import plots, tables

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_tools"))
import lesson_pages
import lessons
import terms

FRAME = pd.DataFrame(
    {"Avg. Gap": [90.125, 97.0, np.nan], "half": [1.25, 0.5, np.nan], "seeds": [10, 1200, 3]},
    index=["original (no-op)", "ceiling (held-out ref.)", "<b> & c"],
)


def test_a_table_as_text(capsys):
    tables.show(FRAME, "Points.", intervals={"Avg. Gap": "half"}, digits={"Avg. Gap": 2})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Points." and said[1].split() == ["Avg.", "Gap", "seeds"]
    assert said[2].split()[-4:] == ["90.12", "±", "1.25", "10"] and said[3].endswith("97.00 ± 0.50  1,200")
    assert said[4].split()[-2:] == ["n/a", "3"]
    tables.show(FRAME[["half"]], "Differences.", signed=("half",))
    assert "+1.2" in capsys.readouterr().out


def test_a_table_as_html(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr(tables, "in_notebook", lambda: True)
    tables.show(FRAME, 'Points, "all".', intervals={"Avg. Gap": "half"}, file="gaps")
    html = shown[0].data
    assert html.count("<tr") == 4 and 'class="no-op"' in html and 'class="ceiling"' in html
    assert (
        "&lt;b&gt; &amp; c" in html and "<b>" not in html and 'aria-label="Points, &quot;all&quot;."' in html
    )
    # One range for the column: from 88.875 to 97.5.
    bars = [tuple(map(float, bar)) for bar in re.findall(r'<rect x="([\d.]+)" width="([\d.]+)"', html)]
    expected = [(0, 250 / 8.625), (100 * 7.625 / 8.625, 100 / 8.625)]
    np.testing.assert_allclose(bars, expected, atol=0.05)
    assert 'class="zero"' not in html
    data = re.search(r'download="gaps.csv" href="data:text/csv;base64,([^"]+)"', html).group(1)
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(base64.b64decode(data)), index_col=0), FRAME)


@pytest.fixture
def pictures(monkeypatch):
    """What `plots.show` displays: [(wide, narrow or None)]."""
    plots.plt.close("all")
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda svg: shown.append(svg.data))
    monkeypatch.setattr(plots, "in_notebook", lambda: True)

    def show():
        plots.show()
        found = []
        for picture in shown:
            inside = re.search(r'<metadata class="narrow">(.*?)</metadata>', picture)
            found.append((picture, base64.b64decode(inside.group(1)).decode() if inside else None))
        shown.clear()
        return found

    return show


def size(svg):
    return [float(value) for value in re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups()]


def test_a_figure_for_wide_and_narrow_screens(pictures):
    fig, axes = plots.figure(8, 3, columns=2, sharey=True)
    axes[0].plot([0, 1])
    axes[0].set(ylabel="accuracy (%)")
    (first,) = pictures()
    wide, narrow = first
    assert size(wide) == [576, 216] and size(narrow)[0] == pytest.approx(72 * plots.NARROW)
    assert size(narrow)[1] > 2 * 180  # one below the other
    assert wide.count("accuracy (%)") == 1 and narrow.count("accuracy (%)") == 2
    assert not plots.plt.get_fignums()  # nothing is shown twice


def test_a_figure_is_the_same_in_every_run(pictures):
    drawn = []
    for _ in range(2):
        plots.paired_dots({"a long name + REWEIGHT": [1.0, 2.0], "b": [0.0, 3.0]}, "points")
        drawn += pictures()
    assert drawn[0] == drawn[1] and "<text" in drawn[0][0]


def test_many_columns_stay_side_by_side(pictures):
    _, grid = plots.figure(8, 3, columns=6)
    ((_, narrow),) = pictures()
    assert narrow is None
    _, grid = plots.figure(8, 3, columns=6)
    for axes in grid:
        axes.imshow(np.zeros((4, 4)))
    ((_, narrow),) = pictures()
    assert size(narrow)[0] == pytest.approx(72 * plots.NARROW)


def test_cells_of_a_wide_table_say_their_column(monkeypatch):
    """A narrow screen shows them without the head; a table of few columns stays as it is."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda html: shown.append(html.data))
    monkeypatch.setattr(tables, "in_notebook", lambda: True)
    wide = pd.DataFrame([[1, 2, 3, 4], [5, 6, 7, 8]], index=["a", "b"], columns=["<A>", "B", "C", "D"])
    for frame in (wide, wide.iloc[:, :2]):
        tables.show(frame, "Caption.")
    page = docutils.utils.new_document("page")
    page += [nodes.raw("", text, format="html") for text in shown]
    lesson_pages.adapt_tables(None, page, "book/executed/03_slug")
    found = [node.astext() for node in page.findall(nodes.raw)]
    numbers = [
        re.search(r"<caption[^>]*><span class=\"caption-number\">(.*?) </span>", text)[1] for text in found
    ]
    assert numbers == ["Table 3.1", "Table 3.2"]
    folded, narrow = (re.sub(r'<span class="caption-number">.*?</span>', "", text) for text in found)
    assert narrow == shown[1] and 'class="numbers folds"' in folded
    cells = re.findall(r'<td data-label="(.*?)">(\d)</td>', folded)
    assert cells == [(name, str(k + 1)) for k, name in enumerate(["&lt;A&gt;", "B", "C", "D"] * 2)]
    assert re.sub(r' data-label="[^"]*"| folds', "", folded) == shown[0]


def test_a_rounded_zero_has_no_sign():
    texts = [tables._text(value, "{:+.1f}") for value in (-0.04, 0.0, 0.04, -0.06, 10.0)]
    assert texts == ["0.0", "0.0", "0.0", "-0.1", "+10.0"]


def test_the_bars_of_differences_share_a_range_with_zero():
    frame = pd.DataFrame({"change": [3.0, -1.0], "half": [1.0, 0.5]}, index=["a", "b"])
    found = tables._bars(frame, ["change"], {"change": "half"})["change"]
    # from -1.5 to 4: zero is at 1.5 / 5.5
    np.testing.assert_allclose(found, [(3.5 / 5.5, 1, 1.5 / 5.5), (0, 1 / 5.5, 1.5 / 5.5)])
    wider = frame.assign(other=[0.0, 7.0])
    found = tables._bars(wider, ["change", "other"], {"change": "half", "other": "half"}, one_scale=True)
    # from -1.5 to 7.5
    np.testing.assert_allclose(found["change"], [(3.5 / 9, 5.5 / 9, 1.5 / 9), (0, 1 / 9, 1.5 / 9)])
    np.testing.assert_allclose(found["other"], [(0.5 / 9, 2.5 / 9, 1.5 / 9), (8 / 9, 1, 1.5 / 9)])
    above = tables._bars(frame + 10, [], {"change": "half"})["change"]
    assert all(zero is None for *_, zero in above)


def test_the_note_of_a_term_shows_no_citation():
    cited = addnodes.pending_xref("", nodes.inline("", "holm1979simple"), refdomain="cite")
    texts = [nodes.Text("A correction of "), nodes.math("", "p"), nodes.Text(" for the number of tests ")]
    paragraph = nodes.paragraph("", "", *texts, cited, nodes.Text(". Of five tests, ..."))
    assert terms.first_sentence("Holm", paragraph) == "A correction of <em>p</em> for the number of tests."


@pytest.mark.parametrize("path", sorted(lessons.EXECUTED.glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_lesson_is_read_for_longer_than_35_minutes(path):
    assert 5 < lesson_pages.reading_minutes(lesson_pages.read_notebook(path)) <= 35


def test_reading_minutes_count_what_is_in_sight():
    def code(source, kind=None, tags=(), html=""):
        metadata = {"tags": list(tags), **({"mystnb": {"figure": {}}} if kind == "figure" else {})}
        outputs = [{"data": {"text/html": [html]}}] if html else []
        return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": outputs}

    folded = ":::{answer}\n:::\n" + "word " * 900
    texts = ["word " * 414 + "\n$$\nx + y\n$$\n", folded, "word " * 900 + "\n:::{answer-end}\n:::"]
    words, answer, end = ({"cell_type": "markdown", "metadata": {}, "source": text} for text in texts)
    table = '<div class="numbers"></div>'
    shown = [code("a = 1\nb = 2"), code("plots.show()", "figure"), code("print(b)", html=table)]
    folded = [answer, code("assert b", tags=["solution"], html=table), end]
    # 138 s for the words, 15 for the formula, 9 for three lines, 30 for the figure, 20 for the table: 212 s
    assert lesson_pages.reading_minutes({"cells": [words, *shown, *folded]}) == 4
    # less than three and a half without any of them
    short = dict(shown[2], source="")
    assert lesson_pages.reading_minutes({"cells": [words, *shown[:2], short, *folded]}) == 3


def test_what_draws_a_figure_is_folded_where_nothing_in_sight_needs_it():
    table = "rows = {'a': 1}\ntables.show(rows, 'caption')"
    uses = "print(rows)"
    makes = "rows = {}\nprint(rows, [rows for rows in ()])"
    maybe = "if full:\n    rows = {}\nprint(rows)"
    claim = ({"tags": ["claim"]}, "assert rows")
    kinds = lesson_pages.kinds_of
    assert kinds([({}, table), ({}, uses)]) == ["code", "code"]
    assert kinds([({}, table), ({}, makes), ({}, uses)]) == ["table", "code", "code"]
    assert kinds([({}, table), ({}, maybe)]) == ["code", "code"]
    assert kinds([({}, table), claim]) == ["table", "claim"]
    function = "def of(a):\n    rows = [a]\n    return rows"
    assert kinds([({}, table), ({}, function)]) == ["table", "code"]
