"""The built site, its pages, and the browser that the tests of the site open them with."""

import shutil
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
BROWSER = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html")) if SITE.exists() else []
# index.html only leads to book/index.html; 404.html is served in the place of others, see test_site_pages.py;
# what is in _static/ are parts of the theme.
PAGES = [p for p in PAGES if p not in ("index.html", "404.html") and not p.startswith("_static/")]
BOOK = [p for p in PAGES if p.startswith("book/")]
# Of what needs the built site.
MARKS = [
    pytest.mark.slow,
    pytest.mark.site,
    pytest.mark.skipif(not BOOK, reason="skipped: no site, run make site"),
]


def open_page(page, url):
    page.goto(url, wait_until="load")
    page.evaluate("async () => { if (window.MathJax?.startup?.promise) await MathJax.startup.promise; }")
