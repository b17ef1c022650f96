"""The book as PDF and each lesson as one, printed by Chromium from the site that `make site` built.

They lie in _build/html/pdf. The page of a lesson gets a link to its own.
"""

import io
import os
import re
import shutil
import sys
from pathlib import Path

import lessons
import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter

SITE = lessons.ROOT / "_build" / "html"
FOLDER = SITE / "pdf"
BOOK = "gru-lite.pdf"
PAPER = {
    "format": "A4",
    "print_background": True,
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": '<span class="pageNumber" style="margin: auto; font-size: 8pt"></span>',
    "margin": {"top": "16mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pages_of(entry):
    """The names of all pages of _toc.yml, or of a part of it, in its order."""
    for key in ("root", "file"):
        if key in entry:
            yield entry[key]
    for key in ("parts", "chapters", "sections"):
        for inner in entry.get(key, ()):
            yield from pages_of(inner)


def printed(browser, name):
    """(title, bytes) of a page of the site."""
    page = browser.new_page(color_scheme="light")
    page.goto((SITE / f"{name}.html").as_uri(), wait_until="load")
    page.evaluate("async () => { if (window.MathJax?.startup?.promise) await MathJax.startup.promise; }")
    title = re.sub(r"\s*[—#].*", "", page.title()).strip()
    content = page.pdf(**PAPER)
    page.close()
    return title, content


def add_link(name, file, words):
    """To a page's row of links; once."""
    path = SITE / f"{name}.html"
    text = path.read_text(encoding="utf-8")
    href = os.path.relpath(FOLDER / file, path.parent).replace(os.sep, "/")
    if href not in text:
        link = f'<a class="lesson-link" href="{href}">{words}</a>'
        text = re.sub(r'(<p class="lesson-links">.*?)(</p>)', rf"\1 {link}\2", text, count=1, flags=re.S)
        path.write_text(text, encoding="utf-8")


def main():
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        sys.exit("pdf: no Chromium (on Debian: apt-get install chromium)")
    toc = yaml.safe_load((lessons.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    FOLDER.mkdir(exist_ok=True)
    book = PdfWriter()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for name in pages_of(toc):
            title, content = printed(browser, name)
            stem = Path(name).name
            if re.match(r"\d\d_", stem):
                (FOLDER / f"{stem}.pdf").write_bytes(content)
                add_link(name, f"{stem}.pdf", "PDF")
            start = len(book.pages)
            for sheet in PdfReader(io.BytesIO(content)).pages:
                book.add_page(sheet)
            book.add_outline_item(title=title, page_number=start)
        browser.close()
    book.write(FOLDER / BOOK)
    print(f"{len(book.pages)} pages: {FOLDER / BOOK}")


if __name__ == "__main__":
    main()
