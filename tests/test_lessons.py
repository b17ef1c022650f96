"""The lessons as documents: twins, figures, claims, size, provenance. Nothing is executed here."""

import copy
import re
import statistics
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import lessons  # noqa: E402

pytestmark = pytest.mark.book
SCRIPTS = lessons.lessons()
each_lesson = pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)


def cells(script, kind):
    return [c for c in lessons.notebook(script, twin=False).cells if c.cell_type == kind]


def tagged(script, tag):
    return [c for c in cells(script, "code") if tag in c.metadata.get("tags", ())]


def figures(script):
    """(image, figure) of every cell that describes a figure."""
    described = [c.metadata["mystnb"] for c in cells(script, "code") if "mystnb" in c.metadata]
    return [(d.get("image", {}), d.get("figure", {})) for d in described if "figure" in d or "image" in d]


def is_sentence(text):
    return isinstance(text, str) and len(text.strip()) >= 40 and len(text.split()) >= 6


def test_every_lesson_is_in_the_book_and_nothing_else():
    assert SCRIPTS
    stems = [s.stem for s in SCRIPTS]
    assert re.findall(r"book/executed/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8")) == stems
    assert sorted(p.stem for p in lessons.EXECUTED.glob("*.ipynb")) == stems


def test_twins_are_what_the_scripts_give():
    assert [p.name for p, _ in lessons.outdated_twins()] == []


@each_lesson
def test_conversion_is_deterministic(script):
    first, second = (lessons.text_of(lessons.notebook(script, twin=True)) for _ in range(2))
    assert first == second and first.endswith("}\n") and not first.endswith("\n\n")


@each_lesson
def test_twin_is_plain_markdown_and_leaves_colabs_packages_alone(script):
    twin = lessons.notebook(script, twin=True)
    prose = "\n".join(c.source for c in twin.cells if c.cell_type == "markdown")
    assert not re.search(r"\{[a-z:-]+\}`|^(:{3,}|`{3,})\{", prose, flags=re.M)
    assert lessons.colab_url(script.stem) in twin.cells[1].source
    install = twin.cells[2].source
    assert "--no-deps" in install and "google.colab" in install
    assert not any(c.outputs or c.execution_count for c in twin.cells if c.cell_type == "code")


@each_lesson
def test_parameters_cell(script):
    (cell,) = tagged(script, "parameters")
    names = {}
    exec(cell.source, names)
    assert (names["profile"], names["seed"]) == ("full", 0)


@each_lesson
def test_title_summary_exercises(script):
    prose = cells(script, "markdown")
    assert lessons.notebook(script, twin=False).cells[0].source.startswith("# ")
    headings = re.findall(r"^(#+) +(.+)$", "\n".join(c.source for c in prose), flags=re.M)
    assert [level for level, _ in headings].count("#") == 1
    assert {"Summary", "Exercises"} <= {text.strip() for _, text in headings}


@each_lesson
def test_figures_have_alt_text_and_caption(script):
    drawing = [c for c in cells(script, "code") if re.search(r"\bplt\.show\(|\bplots\.\w+\(", c.source)]
    for cell in drawing:
        about = cell.metadata.get("mystnb", {})
        assert "image" in about and "figure" in about, f"no alt text or caption: {cell.source[:80]}"
    for image, figure in figures(script):
        assert is_sentence(image.get("alt")), f"alt text: {image.get('alt')!r}"
        assert is_sentence(figure.get("caption")), f"caption: {figure.get('caption')!r}"
        assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), f"name: {figure.get('name')!r}"


def test_figure_names_are_unique():
    names = [figure["name"] for script in SCRIPTS for _, figure in figures(script)]
    assert sorted(set(names)) == sorted(names)


@each_lesson
def test_cells_are_short(script):
    lengths = [len([line for line in c.source.splitlines() if line.strip()]) for c in cells(script, "code")]
    assert statistics.median(lengths) <= 12 and max(lengths) <= 35, sorted(lengths)


@each_lesson
def test_claims_are_checked(script):
    assert tagged(script, "claim"), "no cell is tagged `claim`"
    for cell in tagged(script, "claim"):
        assert re.search(r"\bassert\b|check_claim", cell.source), (
            f"a claim that checks nothing: {cell.source[:80]}"
        )


@each_lesson
def test_a_lesson_names_its_own_rivals(script):
    """That a method is added to the package changes no lesson."""
    code = "\n".join(c.source for c in cells(script, "code"))
    assert not re.search(r"\bgru\.METHODS\b|\bmethod_names\(", code)


@each_lesson
def test_executed_lesson_is_current_and_clean(script):
    path = lessons.EXECUTED / f"{script.stem}.ipynb"
    assert path.exists(), "not executed yet: make book"
    about = lessons.provenance_of(path)
    assert about["source"] == lessons.source_hash(script), "stale: make book"
    assert about["profile"] == "full" and about["seconds"] <= 600
    assert {"package", "date", "cpu", "gpu", "versions"} <= set(about)
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    code = [c for c in nb.cells if c.cell_type == "code"]
    assert [c.source for c in code] == [c.source for c in cells(script, "code")]
    assert all(c.execution_count for c in code)
    assert all(o.output_type != "error" and o.get("name") != "stderr" for c in code for o in c.outputs)
    again = copy.deepcopy(nb)
    lessons.clean(again, script)  # refuses paths and host names; changes nothing in a clean notebook
    assert again.cells == nb.cells


@each_lesson
def test_figures_are_pictures_on_the_page(script):
    nb = nbformat.read(lessons.EXECUTED / f"{script.stem}.ipynb", as_version=4)
    for cell in nb.cells:
        if "figure" in cell.metadata.get("mystnb", {}):
            kinds = {"image/svg+xml", "image/png"}
            pictures = [o for o in cell.outputs if kinds & set(o.get("data", {}))]
            assert len(pictures) == 1, f"{len(pictures)} pictures for one caption: {cell.source[:80]}"


# ------------------------------------------------ the script itself, on lessons made for the purpose


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Write a one-cell lesson into a temporary folder and return its path."""
    monkeypatch.setattr(lessons, "NOTEBOOKS", tmp_path)

    def make(code, prose="# Title"):
        path = tmp_path / "42_made_up.py"
        header = "\n".join(f"# {line}".rstrip() for line in prose.splitlines())
        path.write_text(
            f"# %% [markdown]\n{header}\n\n"
            f'# %% tags=["parameters"]\nprofile = "full"\nseed = 0\n\n# %%\n{code}\n'
        )
        return path

    return make


def test_markup_becomes_plain_markdown(lesson):
    prose = (
        "# Title\nSee {term}`REWEIGHT` and {term}`weights <REWEIGHT>`, {cite}`demin2025group`.\n"
        ":::{tip} Try\n:class: x\n$a$\n:::"
    )
    twin = lessons.notebook(lesson("1", prose), twin=True)
    text = twin.cells[0].source
    assert "See REWEIGHT and weights, [De Min et al. (2025)](" in text
    assert "> **Try**\n>\n> $a$" in text and ":class:" not in text
    assert "{term}`REWEIGHT`" in lessons.notebook(lesson("1", prose), twin=False).cells[0].source


def test_blanks_and_line_ends_do_not_make_a_lesson_stale(lesson):
    path = lesson("x = 1")
    before = lessons.source_hash(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"  \r\n") + b"\r\n")
    assert lessons.source_hash(path) == before


@pytest.mark.slow
def test_execute_writes_all_or_nothing_and_keeps_outputs_when_prose_changes(lesson, tmp_path):
    out = tmp_path / "out"
    path = lesson("import tempfile\nprint(profile, seed)")
    lessons.execute(path, out, "smoke", 3)
    target = out / "42_made_up.ipynb"
    about = lessons.provenance_of(target)
    assert (about["profile"], about["seed"], lessons.is_stale(path, out)) == ("smoke", 3, False)
    assert "smoke 3\n" in target.read_text().replace("\\n", "\n")

    lessons.execute(path, out, "full", 0)
    path = lesson("import tempfile\nprint(profile, seed)", "# Another title")
    assert lessons.is_stale(path, out) and lessons.refreshed(path, out, "full", 0)
    assert "Another title" in target.read_text() and not lessons.is_stale(path, out)

    done = target.read_bytes()
    for code, message in [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; print('x', file=sys.stderr)", "stderr"),
        ("print('/ho' + 'me/someone')", "of this machine"),
    ]:
        path = lesson(code)
        assert lessons.is_stale(path, out) and not lessons.refreshed(path, out, "full", 0)
        with pytest.raises(lessons.LessonError, match=message) as failed:
            lessons.execute(path, out, "full", 0)
        assert str(ROOT) not in str(failed.value) and len(str(failed.value).splitlines()) < 50
    assert target.read_bytes() == done and [p.name for p in out.iterdir()] == [target.name]
