"""Tables of numbers in a notebook and on the pages of the book.

A table is aligned and has names that people read; the rows that say how to read the others are tinted. On a
narrow screen its first column stays in sight.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

MARKS = ("no-op", "ceiling")  # rows whose names hold these words are tinted


def show(
    frame: pd.DataFrame,
    caption: str,
    digits: int | Mapping[str, int] = 1,
    signed: Sequence[str] = (),
    intervals: Mapping[str, str] | None = None,
    file: str = "table",
    one_scale: bool = False,
) -> None:
    """Show a table: as HTML where there is a notebook, else as text.

    Args:
        frame: its index has the names of the rows, its columns those of the columns.
        caption: what the numbers are, with their unit.
        digits: after the decimal point, for all columns or for each; whole numbers have none.
        signed: columns of differences, whose numbers have a sign.
        intervals: {column of means: column of half widths}: shown as "mean ± half" with a bar.
        file: name of the CSV that can be downloaded, without its end.
        one_scale: the bars of all columns have one scale, as columns of one unit should; else each its own.
    """
    shown = _texts(frame, digits, signed, intervals or {})
    bars = _bars(frame, signed, intervals or {}, one_scale)
    if not in_notebook():
        print(f"{caption}\n{shown.to_string()}")
        return
    from IPython.display import HTML, display

    display(HTML(_html(shown, bars, caption, frame.to_csv(), file)))


def in_notebook() -> bool:
    """Whether there is an IPython that can show more than text."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")  # a terminal shows text


def _texts(frame, digits, signed, intervals):
    """The same frame of texts; a column of half widths is part of that of the means."""
    columns = {}
    for name, values in frame.items():
        if name in intervals.values():
            continue
        places = digits if isinstance(digits, int) else digits.get(name, 1)
        form = f"{{:{'+' if name in signed else ''}.{places}f}}"
        texts = [_text(value, form) for value in values]
        if name in intervals:
            halves = frame[intervals[name]]
            texts = [
                t if np.isnan(h) else f"{t} ± {h:.{places}f}" for t, h in zip(texts, halves, strict=True)
            ]
        columns[name] = texts
    return pd.DataFrame(columns, index=frame.index)


def _text(value, form):
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}" if "+" not in form else f"{value:+,}"
    if isinstance(value, (float, np.floating)):
        text = "n/a" if np.isnan(value) else form.format(value)
        return text.lstrip("+-") if text.strip("+-0.") == "" else text  # a rounded zero has no sign
    return str(value)


def _bars(frame, signed, intervals, one_scale=False):
    """{column: [(low, high, zero) as shares of the scale]}; only differences have a zero in it."""
    bounds = {
        name: (frame[name] - frame[half], frame[name] + frame[half]) for name, half in intervals.items()
    }
    ends = {name: [low.min(), high.max(), *[0] * (name in signed)] for name, (low, high) in bounds.items()}
    if one_scale:
        ends = dict.fromkeys(ends, [end for both in ends.values() for end in both])
    found = {}
    for name, (low, high) in bounds.items():
        least, span = min(ends[name]), max(ends[name]) - min(ends[name]) or 1.0
        zero = -least / span if name in signed else None
        found[name] = [((a - least) / span, (b - least) / span, zero) for a, b in zip(low, high)]
    return found


def _html(shown, bars, caption, csv, file):
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in shown.columns)
    corner = escape(str(shown.index.name or ""))
    corner = f'<th scope="col">{corner}</th>' if corner else "<td></td>"
    rows = []
    for k, (name, values) in enumerate(shown.iterrows()):
        label = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
        mark = next((word for word in MARKS if word in label), None)
        cells = "".join(f"<td>{escape(text)}{_bar(bars, c, k)}</td>" for c, text in values.items())
        tint = f' class="{mark}"' if mark else ""
        rows.append(f'<tr{tint}><th scope="row">{escape(label)}</th>{cells}</tr>')
    data = base64.b64encode(csv.encode()).decode()
    link = f'<a class="csv" download="{escape(file)}.csv" href="data:text/csv;base64,{data}">CSV</a>'
    return (
        f'<div class="numbers" tabindex="0" role="group" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)} {link}</caption><thead><tr>{corner}{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _bar(bars, column, row):
    if column not in bars:
        return ""
    low, high, zero = bars[column][row]
    if np.isnan(low):
        return ""
    at = "" if zero is None else f"{100 * zero:.1f}"
    tick = f'<line x1="{at}" x2="{at}" y1="0" y2="8" class="zero"/>' if at else ""
    return (
        f'<svg class="interval" viewBox="0 0 100 8" aria-hidden="true">{tick}'
        f'<rect x="{100 * low:.1f}" width="{100 * (high - low):.1f}" y="2" height="4"/></svg>'
    )
