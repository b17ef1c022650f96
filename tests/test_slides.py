"""The slides: every lesson is in one deck with what it shows, nothing is cut, and keys move on."""

import io
import json
import re
import sys
from html import unescape
from pathlib import Path

import pytest
from built_site import MARKS, SITE

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import lessons  # noqa: E402
import slides  # noqa: E402

pytestmark = MARKS
BOTH_WAYS = True

SESSIONS = range(1, len(slides.SESSIONS) + 1)
PAGE = (ROOT / "book" / "for_instructors.md").read_text(encoding="utf-8")
NUMBERS = [lessons.number_of(script.stem) for script in lessons.lessons()]


def deck(number):
    return (SITE / slides.deck_of(number)).read_text(encoding="utf-8")


def words(text):
    """Letters and digits alone: what Markdown, HTML and TeX of one sentence have in common."""
    text = unescape(re.sub(r"<[^>]*>", "", re.sub(r"\{[\w:-]+\}(?=`)", "", text)))
    return re.sub(r"[\W_]", "", text)


def notebook(number):
    """The cells of an executed lesson: (kind, text, metadata)."""
    (script,) = slides.scripts_of([number])
    cells = json.loads((lessons.EXECUTED / f"{script.stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"]), cell["metadata"]) for cell in cells]


def parts(number, text):
    """[(class, heading, content)] of the slides of a deck that are made from one lesson."""
    found = re.findall(
        r'<section id="slide-\d+" class="slide ([\w ]+)".*?<h\d>(.*?)</h\d>(.*?)<footer>(.*?)</footer>',
        text, flags=re.S,
    )  # fmt: skip
    return [part[:3] for part in found if re.search(rf">Lesson {number}<", part[3])]


# ---------------------------------------------------------------- the syllabus


def test_every_lesson_is_in_one_session():
    assert [number for _, numbers, _ in slides.SESSIONS for number in numbers] == NUMBERS


@pytest.mark.parametrize("number", SESSIONS)
def test_a_session_has_90_minutes_and_names_what_is_read(number):
    title, numbers, _ = slides.SESSIONS[number - 1]
    plan = PAGE.partition(f"\n### Session {number}. {title}\n")[2].partition("\n#")[0]
    assert sum(map(int, re.findall(r"^\| (\d+) \|", plan, flags=re.M))) == 90
    assert re.findall(r"executed/(\w+)\.ipynb", plan) == [s.stem for s in slides.scripts_of(numbers)]
    exercises = re.findall(r"\{numref\}`(ex-[\w-]+)`", plan)
    assert exercises and all(
        any(
            f":label: {name}\n" in script.read_text(encoding="utf-8") for script in slides.scripts_of(numbers)
        )
        for name in exercises
    )


def test_the_table_of_sessions_adds_what_the_pages_say():
    page = (SITE / "book" / "for_instructors.html").read_text(encoding="utf-8")
    table = re.search(r'<table class="[^"]*syllabus.*?</table>', page, flags=re.S).group()
    rows = [re.findall(r"<td>(.*?)</td>", row, flags=re.S) for row in table.split("</tr>")[1:-1]]
    assert len(rows) == len(SESSIONS)
    for number, row in zip(SESSIONS, rows):
        read, run = 0, 0.0
        for script in slides.scripts_of(slides.SESSIONS[number - 1][1]):
            text = (SITE / "book" / "executed" / f"{script.stem}.html").read_text(encoding="utf-8")
            minutes = re.search(r"(\d+) minutes to read, ([\d.]+) to run", text).groups()
            read, run = read + int(minutes[0]), run + float(minutes[1])
        assert [words(cell) for cell in row[2:4]] == [str(read), words(f"{run:.1f}")]
        assert f'href="../{slides.deck_of(number)}"' in row[4]


# ---------------------------------------------------------------- what is on the slides


@pytest.mark.parametrize("lesson", NUMBERS)
def test_a_lesson_is_whole_in_its_deck(lesson):
    (number,) = (n for n in SESSIONS if lesson in slides.SESSIONS[n - 1][1])
    found, cells = parts(lesson, deck(number)), notebook(lesson)
    text, _, exercises = "\n".join(text for kind, text, _ in cells if kind == "markdown").partition(
        "## Exercises\n"
    )
    headings = [words(heading) for _, heading, _ in found]
    for heading in re.findall(r"^##+ (.+)$", text, flags=re.M):
        assert heading == "Questions" or words(heading) in headings, heading
    for _, _, metadata in cells:
        figure = metadata.get("mystnb", {}).get("figure")
        if figure and "solution" not in metadata.get("tags", ()):
            (content,) = (c for _, _, c in found if f'id="lesson{lesson}-{figure["name"]}"' in c)
            assert words(figure["caption"]) in words(content), figure["name"]
            assert metadata["mystnb"]["image"]["alt"] in unescape(content), figure["name"]
            assert content.count("<svg role=") == 1, "the figure for phones is there, too"
    bullets = re.findall(r"^- (.*?)(?=^- |\n\n|\Z)", text.partition("## Summary")[2], flags=re.M | re.S)
    (summary,) = (c for kind, _, c in found if kind == "summary")
    assert summary.count("<li>") > 2
    for bullet in bullets[: summary.count("<li>")]:
        assert words(bullet) in words(summary), bullet
    kinds, said = [kind for kind, _, _ in found], [words(content) for _, _, content in found]
    assert kinds.count("predict") == text.count(":::{predict}") > 0
    assert kinds.count("question asked") == kinds.count("question") == text.count(":::{quiz}") > 0
    for kind, after in zip(kinds, kinds[1:]):
        if kind == "predict":
            assert after.split()[0] in ("figure", "table", "formula", "text"), f"{after} follows a question"
    titles = [words(title) for title in re.findall(r"^:::\{exercise\} (.+)$", exercises, flags=re.M)]
    assert titles == re.findall(rf"Exercise{lesson}\d(.*?)(?=Exercise|$)", said[-1])
    assert all(text or kind == "title" for kind, text in zip(kinds, said)), "a slide is empty"


@pytest.mark.parametrize("number", SESSIONS)
def test_links_and_ids_of_a_deck(number):
    text = deck(number)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)), "two things have one id"
    for href in re.findall(r'<a [^>]*href="([^"]+)"', text):
        name, _, place = href.removeprefix("../").partition("#")
        assert f'id="{place}"' in (SITE / name).read_text(encoding="utf-8"), href
    used = set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', text))
    assert used <= set(ids), "a figure lacks a part"


def test_a_lesson_without_a_question_is_refused(tmp_path):
    (script,) = slides.scripts_of([0])
    page = tmp_path / "book" / "executed" / f"{script.stem}.html"
    page.parent.mkdir(parents=True)
    page.write_text('<article><section id="x"><h1>Lesson 0. X</h1><p>Text.</p></section></article>')
    with pytest.raises(lessons.LessonError, match=r"00_start_here.*begins with \*\*Question"):
        list(slides.Lesson(tmp_path, script.stem).slides())


# ---------------------------------------------------------------- in a browser


@pytest.fixture
def shown(page, base):
    """Opens a deck at 1280 x 720."""
    page.set_viewport_size({"width": 1280, "height": 720})

    def open_deck(number):
        page.goto(base + slides.deck_of(number), wait_until="load")
        page.wait_for_selector("body.fitted")
        return page

    return open_deck


# 19 pixels are more than a fortieth of the height of a slide.
CUT = """() => slides.flatMap(slide => {
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const size = e => parseFloat(getComputedStyle(e).fontSize);
  const box = slide.getBoundingClientRect(), foot = slide.querySelector('footer').getBoundingClientRect();
  const wrong = isFull(slide) ? ['is too full'] : [];
  for (const e of slide.querySelectorAll('.content *:not(svg *, mjx-container *)')) {
    const {left, right, bottom} = e.getBoundingClientRect();
    const name = `${e.tagName} ${e.textContent.trim().slice(0, 40)}`;
    if (left < box.left || right > box.right + 1 || bottom > foot.top + 1) wrong.push(`cuts ${name}`);
    if (own(e) && size(e) < 19) wrong.push(`has letters of ${size(e)}: ${name}`);
  }
  return wrong.map(what => `${slide.id} ${what}`);
})"""
ON_TOP = "slides[current()].id.replace('slide-', '') + ' ' + location.hash"


def test_no_slide_is_cut_and_nothing_loads_from_elsewhere(shown):
    wrong = []
    for number in SESSIONS:
        page = shown(number)
        assert page.evaluate("slides.length") > 20
        sizes = page.evaluate("slides.map(s => [s.offsetWidth, s.offsetHeight])")
        assert set(map(tuple, sizes)) == {(1280, 720)}
        asked = "[...document.querySelectorAll('.asked .reasons')].map(e => getComputedStyle(e).visibility)"
        assert set(page.evaluate(asked)) == {"hidden"}, "the answer is seen with the question"
        wrong += [f"session {number}: {what}" for what in page.evaluate(CUT) + page.troubles]
    assert not wrong, "\n".join(wrong)


def test_a_slide_that_is_cut_is_found(shown):
    page = shown(1)
    page.evaluate("document.querySelector('.summary .content').innerHTML += '<p>One more.</p>'.repeat(30)")
    page.evaluate("fit()")
    wrong = page.evaluate(CUT)
    assert any("is too full" in what for what in wrong) and any("letters of" in what for what in wrong)


def test_keys_move_on_and_back(shown):
    page = shown(2)
    last = page.evaluate("slides.length")
    keys = [("ArrowRight", 2), ("ArrowDown", 3), ("PageDown", 4), (" ", 5), ("Shift+ ", 4), ("ArrowUp", 3)]
    keys += [("PageUp", 2), ("ArrowLeft", 1), ("ArrowLeft", 1), ("End", last), ("ArrowRight", last)]
    for key, place in [*keys, ("Home", 1), ("ArrowRight", 2)]:
        page.keyboard.press(key)
        assert page.evaluate(ON_TOP) == f"{place} #slide-{place}", key
        box = page.locator(f"#slide-{place}").bounding_box()
        assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 720), key
    page.reload()
    page.wait_for_selector("body.fitted")
    assert page.evaluate(ON_TOP) == "2 #slide-2", "a reload goes back to the beginning"


def test_a_deck_is_printed_a_slide_on_a_page(shown):
    from pypdf import PdfReader

    page = shown(5)
    sheets = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True, print_background=True))).pages
    assert len(sheets) == page.evaluate("slides.length")
    for number, sheet in enumerate(sheets, start=1):
        assert [float(x) for x in sheet.mediabox[2:]] == [960, 540]  # points
        assert f"{number} / {len(sheets)}" in sheet.extract_text()
