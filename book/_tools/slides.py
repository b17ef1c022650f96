"""Sphinx extension: slides for each session of the course, made from the finished pages of its lessons.

A slide is a heading with one thing that the lesson shows under it: a figure, a table, a formula or text. A
question to predict comes on a slide of its own, before what it asks about. Each deck is one page in slides/,
see book/_static/slides.css and slides.js.

{syllabus}              a table of the sessions on a page: what is read before, how long it takes, the slides
"""

import math
import re
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import lessons
from lesson_pages import FOLDER, lesson_link, read_notebook, reading_minutes, running_minutes
from site_pages import table_of

# Of each session: its title, its lessons, and what is handed out and due.
SESSIONS = (
    ("Who pays, and how to measure it", (0, 1), ""),
    ("The harm, and a repair", (2, 3), "assignment 1 out"),
    ("Information, and a method made from it", (4, 5), ""),
    ("Seven methods, line by line", (6, 7), "assignment 1 due, 2 out"),
    ("A fair table", (8,), ""),
    ("Full scale, and what to believe", (9,), "assignment 2 due, 3 out"),
    ("Past the paper", (10, 11, 12, 13, 14, 15, 16), "optional"),
)
TARGET = "slides/"
# What goes on a slide: more than this stays in the lesson.
ROWS, WORDS_IN_A_TABLE, WORDS_AT_A_FORMULA = 12, 160, 75
LETTERS_A_LINE = 90  # of a caption
SHOWN = ".predict, figure, .numbers, table:not(.numbers *), div.math"
# On a page, but not on a slide: links to sections, downloads, explanations of terms.
LEFT_OUT = ".headerlink, .csv, .term-note, .narrow, .practice-title, .table-note, .column"


def deck_of(number):
    """Where the deck of a session lies in the site."""
    return f"{TARGET}session_{number}.html"


def scripts_of(numbers):
    """The scripts of lessons, by their numbers."""
    return [script for script in lessons.lessons() if lessons.number_of(script.stem) in numbers]


class Slide(NamedTuple):
    """Everything is HTML. `foot` stands beside the number of the slide."""

    kind: str
    heading: str
    content: str
    foot: str
    level: int = 3

    def html(self, number, count):
        return (
            f'<section id="slide-{number}" class="slide {self.kind}" tabindex="-1">'
            f"<h{self.level}>{self.heading}</h{self.level}>"
            f'<div class="content">{self.content}</div>'
            f"<footer>{self.foot} <span>{number} / {count}</span></footer></section>"
        )


# ---------------------------------------------------------------- one lesson


class Lesson:
    """The finished page of a lesson, read for its slides.

    Code and pictures are most of its weight. So code is left out before the page is parsed, and pictures are
    taken out and put back unchanged.
    """

    def __init__(self, site, stem):
        self.number, self.name, self.pictures = lessons.number_of(stem), f"{FOLDER}{stem}.html", []
        text = (Path(site) / self.name).read_text(encoding="utf-8")
        text = re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)
        text = re.sub(r"<svg\b.*?</svg>", self.take, text, flags=re.S)
        page = BeautifulSoup(text, "html.parser")
        # `src` is as the page has it, and the deck lies less deep.
        self.scripts = [str(s) for s in page.select("script") if "MathJax" in s.text or "mathjax" in str(s)]
        self.article = page.select_one("article > section")
        for node in self.article.select(LEFT_OUT):
            node.decompose()
        for node in self.article.select("p a, li a, h1 a, h2 a, h3 a, td a, span.term-box"):
            node.unwrap()

    def take(self, match):
        self.pictures.append(match.group())
        return f"<i>picture {len(self.pictures) - 1}</i>"

    def html(self, node, inside=False):
        """A node, or what is inside it, with its pictures; no lesson has an id of another."""
        text = node.decode_contents() if inside else str(node)
        text = re.sub(r"<i>picture (\d+)</i>", lambda match: self.pictures[int(match.group(1))], text)
        return re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>lesson{self.number}-", text)

    def slide(self, kind, heading, content, place, level=3):
        """`place` is the id of the section that the slide is made from."""
        return Slide(kind, heading, content, self.link(place, f"Lesson {self.number}"), level)

    def link(self, place, words):
        return f'<a href="../{self.name}#{place}">{words}</a>'

    def slides(self):
        question = next((p for p in self.article.select("p") if p.text.startswith("Question.")), None)
        if question is None:
            raise lessons.LessonError(
                f"{self.name}: no paragraph begins with **Question.**, for its first slide"
            )
        title = self.html(self.article.h1, inside=True)
        yield self.slide("title", title, self.html(question), self.article["id"], level=2)
        special = {"summary": self.summary, "questions": self.questions, "exercises": self.exercises}
        for section in self.article.select("section:has(> h2, > h3)"):
            if section["id"] != "next":
                yield from special.get(section["id"], self.finding)(section)

    def finding(self, section):
        heading, place = self.html(section.find(["h2", "h3"]), inside=True), section["id"]
        shown = [node for node in section.select(SHOWN) if is_own(node, section)]
        for node in shown:
            if is_question(node):
                yield self.slide("predict", "Predict", self.html(node, inside=True), place)
            else:
                yield self.drawn(node, heading, place)
        if all(map(is_question, shown)):
            text = self.text(section)
            yield self.slide("text" if text else "title", heading, text, place)

    def drawn(self, node, heading, place):
        """The slide of a figure, a table or a formula."""
        if node.name == "figure":
            return self.slide(f"figure {self.layout(node)}", heading, self.html(node), place)
        if "math" in node.get("class", ()):
            before = node.find_previous_sibling()
            is_short = before and before.name == "p" and len(before.text.split()) <= WORDS_AT_A_FORMULA
            words = self.html(before) if is_short else ""
            return self.slide("formula", heading, words + self.html(node), place)
        rows, cells = len(node.select("tbody tr")), [cell.text for cell in node.select("th, td")]
        if rows <= ROWS and len(" ".join(cells).split()) <= WORDS_IN_A_TABLE:
            return self.slide("table", heading, self.html(node), place)
        caption = f"<p>{self.html(node.caption, inside=True)}</p>" if node.caption else ""
        link = self.link(place, f"The table has {rows} rows: open it in the lesson")
        return self.slide("text", heading, f"{caption}<p>{link}</p>", place)

    def layout(self, figure):
        """Where the caption stands: where it leaves more room for the picture."""
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', self.html(figure.select_one(".wide")))
        width, height = map(float, size.groups())
        lines = math.ceil(len(figure.figcaption.text) / LETTERS_A_LINE)
        below = min(1152 / width, (520 - 33 * lines) / height)
        return "beside" if min(800 / width, 520 / height) > below else "below"

    def text(self, section):
        """What stands for a section that shows nothing: its first words, with the list that they lead to."""
        for part in section.find_all(["p", "ul", "ol"], recursive=False):
            if not part.text.endswith((":", ",")):
                return self.html(part)
            after = part.find_next_sibling()
            if after is not None and after.name in ("ul", "ol"):
                return self.html(part) + self.html(after)
        return ""

    def summary(self, section):
        yield self.slide("summary", "Summary", self.html(section.find(["ul", "ol", "p"])), section["id"])

    def questions(self, section):
        """Each question twice: the second time the right choices stand out, with the reasons below."""
        for quiz in section.select(".quiz"):
            question = "".join(self.html(p) for p in quiz.find_all("p", recursive=False))
            choices, reasons = "", ""
            for choice in quiz.select("details.choice"):
                is_right = "right" in choice["class"]
                kind = ' class="right"' if is_right else ""
                choices += f"<li{kind}>{self.html(choice.summary, inside=True)}</li>"
                reasons += self.html(choice.p) if is_right else ""
            content = f'{question}<ol type="A">{choices}</ol><div class="reasons">{reasons}</div>'
            for kind in ("question asked", "question"):
                yield self.slide(kind, "Question", content, section["id"])

    def exercises(self, section):
        titles = [self.html(title, inside=True) for title in section.select(".exercise > .admonition-title")]
        items = "".join(re.sub(r"</span> \((.*)\)$", r"</span>\1</li>", f"<li>{title}") for title in titles)
        yield self.slide("exercises", "Exercises", f"<ul>{items}</ul>", section["id"])


def is_question(node):
    return "predict" in node.get("class", ())


def is_own(node, section):
    """Whether a node belongs to a section, not to one inside it, and nothing folds it."""
    return node.find_parent("section") is section and node.find_parent("details") is None


# ---------------------------------------------------------------- one deck


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<link rel="icon" href="../_static/favicon.ico">
<link rel="stylesheet" href="../_static/slides.css">
{scripts}
<script defer src="../_static/slides.js"></script>
</head>
<body>
<main>
{slides}
</main>
</body>
</html>
"""


def deck(site, number):
    """The page with the slides of a session."""
    name, numbers, _ = SESSIONS[number - 1]
    title = f"Session {number}. {name}"
    read = [Lesson(site, script.stem) for script in scripts_of(numbers)]
    titles = "".join(f"<li>{lesson.html(lesson.article.h1, inside=True)}</li>" for lesson in read)
    keys = "The arrow keys and the space bar move on and back. A browser prints the slides to PDF."
    slides = [Slide("cover", escape(title), f"<ul>{titles}</ul>", keys, level=1)]
    slides += [slide for lesson in read for slide in lesson.slides()]
    body = "\n".join(slide.html(k, len(slides)) for k, slide in enumerate(slides, start=1))
    scripts = next((lesson.scripts for lesson in read if lesson.scripts), []) if 'class="math' in body else []
    moved = [script.replace('src="../../', 'src="../') for script in scripts]
    return PAGE.format(title=escape(title), scripts="\n".join(moved), slides=body)


def write_decks(app, exception):
    # A build of a few pages has no slides.
    has_lessons = all(
        (Path(app.outdir) / FOLDER / f"{script.stem}.html").is_file() for script in lessons.lessons()
    )
    if exception is None and app.builder.format == "html" and has_lessons:
        (Path(app.outdir) / TARGET).mkdir(exist_ok=True)
        for number in range(1, len(SESSIONS) + 1):
            text = deck(app.outdir, number)
            (Path(app.outdir) / deck_of(number)).write_text(text, encoding="utf-8")


# ---------------------------------------------------------------- the syllabus


class Syllabus(SphinxDirective):
    """{syllabus}: a row a session."""

    def run(self):
        rows, up = [], "../" * self.env.docname.count("/")
        for number, (title, numbers, handed) in enumerate(SESSIONS, start=1):
            scripts = scripts_of(numbers)
            read = [read_notebook(lessons.EXECUTED / f"{script.stem}.ipynb") for script in scripts]
            links = nodes.inline()
            for script in scripts:
                comma = [nodes.Text(", ")] if links.children else []
                words = f"lesson {lessons.number_of(script.stem)}"
                links += [*comma, lesson_link(words, script.stem, self.env.docname)]
            minutes = sum(map(reading_minutes, read))
            running = sum(float(running_minutes(notebook)) for notebook in read)
            slides = nodes.reference("", f"slides {number}", refuri=up + deck_of(number))
            rows.append([f"{number}. {title}", links, str(minutes), f"{running:.1f}", slides, handed])
        head = ["session", "read before", "minutes to read", "to run", "slides", "assignments"]
        return [table_of(head, rows, "syllabus")]


def setup(app):
    app.add_directive("syllabus", Syllabus)
    # After the pages are mended.
    app.connect("build-finished", write_decks, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
