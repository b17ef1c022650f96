"""Predict boxes, questions, hints and solutions: as they are written, on Colab, and on a page."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import lessons  # noqa: E402
import practice  # noqa: E402

pytestmark = pytest.mark.book
QUIZ = """Which weight?

- [ ] 0.1

  The other way
  round.

- [x] $10$

  180 / 18.
"""


def test_a_quiz_is_read():
    question, choices = practice.read_quiz(QUIZ)
    assert question == "Which weight?"
    assert choices == [(False, "0.1", "The other way round."), (True, "$10$", "180 / 18.")]


@pytest.mark.parametrize(
    "wrong, text",
    [
        ("begins with a question", QUIZ.replace("Which weight?", "")),
        ("a right and a wrong one", QUIZ.replace("[x]", "[ ]")),
        ("a right and a wrong one", QUIZ.replace("[ ]", "[x]")),
        ("two choices or more", QUIZ.split("- [x]")[0]),
        ("without an explanation: '\\$10\\$'", QUIZ.replace("180 / 18.", "")),
    ],
)
def test_a_quiz_that_is_wrong_is_refused(wrong, text):
    with pytest.raises(ValueError, match=wrong):
        practice.read_quiz(text)


def test_the_notebook_for_colab():
    """Every choice opens by itself and says why; a solution of cells is one text, and is not run."""
    said = practice.in_markdown("quiz", QUIZ)
    assert said.count("<details>") == said.count("</details>") == 2
    assert "**Not quite.** The other way round." in said and "**Right.** 180 / 18." in said
    cell = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [
        cell["code"]("a = 1"),
        cell["markdown"]("Text.\n\n:::{answer}\n:::"),
        cell["code"]("b = a + 1\nassert b == 2"),
        cell["markdown"]("Why.\n\n:::{answer-end}\n:::\n\n:::{exercise} Next\n:label: x\nAgain.\n:::"),
        cell["code"]("c = 3"),
    ]
    kept = lessons.with_solutions_as_text(cells)
    assert [c.source for c in kept if c.cell_type == "code"] == ["a = 1", "c = 3"]
    nb = nbformat.v4.new_notebook(cells=kept)
    lessons.rewrite_markup(nb, 3)
    text = kept[1].source
    expected = "Text.\n\n<details><summary>Solution</summary>\n\n```python\nb = a + 1\nassert b == 2\n```"
    expected += "\n\nWhy.\n\n</details>\n\n**Exercise 3.1: Next**\n\nAgain."
    assert text.startswith(expected)
    assert "{answer" not in text


@pytest.mark.parametrize("script", lessons.lessons(), ids=lambda s: s.stem)
def test_solutions_are_closed_and_asserted(script):
    """Each answer that is opened ends; a solution with code asserts something."""
    cells = lessons.notebook(script, twin=False).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    opened = re.findall(r"^:{3,}\{(answer|answer-end)\}[ \t]*\n:{3,}", text, flags=re.M)
    assert opened == ["answer", "answer-end"] * (len(opened) // 2)
    for cell in cells:
        if "solution" in cell.metadata.get("tags", ()):
            assert re.search(r"\bassert\b|check_claim", cell.source), cell.source
