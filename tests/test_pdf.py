"""Lessons and book as PDF: printed from the site, whole, and in the order of the table of contents."""

import io
import re
import sys
from pathlib import Path

import pytest
import yaml
from built_site import MARKS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_tools"))
import lessons
import pdf

pytestmark = MARKS


def test_the_book_has_every_page_in_order():
    toc = yaml.safe_load((lessons.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"(?:file|root): (\S+)", (lessons.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert list(pdf.pages_of(toc)) == listed and "book/api/groups" in listed


def test_a_lesson_is_printed_whole(browser):
    name = "book/executed/00_start_here"
    title, content = pdf.printed(browser, name)
    sheets = pdf.PdfReader(io.BytesIO(content)).pages
    text = re.sub(r"\s+", " ", " ".join(sheet.extract_text() for sheet in sheets))
    assert title.startswith("Lesson 0. ") and len(sheets) > 5
    # What is folded on the screen, the first and the last words.
    for words in (title, "Not quite.", "Hint", "Solution", "holds: retraining costs", "Executed on"):
        assert words in text, words
    width, height = (float(x) for x in sheets[0].mediabox[2:])
    assert (width, height) == pytest.approx((595, 842), abs=1)  # A4 in points


def test_a_link_is_added_once(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "SITE", tmp_path)
    monkeypatch.setattr(pdf, "FOLDER", tmp_path / "pdf")
    page = tmp_path / "book" / "one.html"
    page.parent.mkdir()
    page.write_text('<p class="lesson-links"><a href="x">Colab</a></p><p>text</p>')
    for _ in range(2):
        pdf.add_link("book/one", "one.pdf", "PDF")
    assert page.read_text().count('<a class="lesson-link" href="../pdf/one.pdf">PDF</a></p><p>text') == 1


def test_without_a_browser(monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="no Chromium"):
        pdf.main()
