"""Sphinx extension: what the themes leave to be mended in the finished pages: accessibility and weight."""

import re
from pathlib import Path

MENDED = (
    # A side bar outside of all landmarks.
    (r'<div id="pst-primary-sidebar"', '<div id="pst-primary-sidebar" role="region" aria-label="Side bar"'),
    # A role that ARIA has given up, inside a list that has no item without it.
    (r'(<div class="citation" id="[^"]*") role="doc-biblioentry"', r'\1 role="listitem"'),
    # The arrow beside a page of the side bar that has pages below it.
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Pages below this one">'),
    # A list inside a list, and in none of its items, as the overview of sources has it.
    (r"(?s)(?<=</li>)\s*<ul>(.*?)</ul>", r"<li class='nested'><ul>\1</ul></li>"),
    # The corner of a table.
    (r'<th class="head"><p></p></th>', "<td></td>"),
    # The title that is for print alone, of a page without one.
    (r"<h1></h1>", ""),
    # Icons are a font already, and these 1.5 MB draw them once more.
    (r'<script[^>]* src="[^"]*/fontawesome\.js[^"]*"></script>\s*', ""),
    # The search that the book's own replaces; search.html, beside these scripts, still has it.
    (r'<script[^>]* src="\.\./[^"]*(searchtools|language_data|searchindex)\.js[^"]*"></script>\s*', ""),
)


def mend(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        before = page.read_text(encoding="utf-8")
        after = before
        for pattern, right in MENDED:
            after = re.sub(pattern, right, after)
        if after != before:
            page.write_text(after, encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
