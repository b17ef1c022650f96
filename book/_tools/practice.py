"""Sphinx extension: what a reader does on a page.

:::{predict}            a question before a figure or a table; what it asks about is shown after a click
:::{quiz}               a question with choices, `- [x]` the right ones; below each, indented, why
:::{clue}               a hint to an exercise, collapsed
:::{answer}             its solution, collapsed: its own text, or, where it has none, all cells down to
:::{answer-end}

All are whole without JavaScript: nothing is covered, and what is collapsed opens with a click or a key. The
notebooks for Colab have the same text, see `in_markdown`.
"""

import re
from typing import NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

DIRECTIVES = ("predict", "quiz", "clue", "answer", "answer-end", "explore")
RIGHT, WRONG = "Right.", "Not quite."


class Choice(NamedTuple):
    is_right: bool
    text: str
    why: str


def read_quiz(text):
    """(question, [Choice]) of a directive's content, or ValueError that says what is wrong."""
    question, *parts = re.split(r"^- \[([ x])\] ", text, flags=re.M)
    choices = []
    for mark, body in zip(parts[::2], parts[1::2], strict=True):
        answer, _, why = body.strip().partition("\n\n")
        lines = [" ".join(piece.split()) for piece in (answer, why)]
        choices.append(Choice(mark == "x", *lines))
    if not question.strip():
        raise ValueError("a quiz begins with a question")
    if len(choices) < 2 or not any(c.is_right for c in choices) or all(c.is_right for c in choices):
        raise ValueError("a quiz has two choices or more, with a right and a wrong one among them")
    if silent := [c.text for c in choices if not c.why]:
        raise ValueError(f"a choice without an explanation: {silent[0]!r}")
    return question.strip(), choices


def in_markdown(name, text):
    """The same as Markdown that a notebook shows without Sphinx."""
    if name == "clue":
        return f"<details><summary>Hint</summary>\n\n{text.strip()}\n\n</details>"
    if name == "answer":
        closing = f"\n\n{text.strip()}\n\n</details>" if text.strip() else ""
        return f"<details><summary>Solution</summary>{closing}"
    if name == "answer-end":
        return "</details>"
    if name == "explore":
        return "> The page of this lesson has a figure here that you can change."
    if name == "predict":
        return "\n".join(f"> {line}".rstrip() for line in ["**Predict.**", *text.strip().splitlines()])
    question, choices = read_quiz(text)
    lines = [f"**Question.** {question}", ""]
    for choice in choices:
        verdict = RIGHT if choice.is_right else WRONG
        lines += [f"<details><summary>{choice.text}</summary>", "", f"**{verdict}** {choice.why}", ""]
        lines += ["</details>", ""]
    return "\n".join(lines).strip()


class ChoiceText(nodes.inline):
    """What opens with a click has no link inside: neither terms nor lessons become one."""


class Predict(SphinxDirective):
    has_content = True

    def run(self):
        box = nodes.container(classes=["predict"])
        box += nodes.paragraph("", "Predict", classes=["practice-title"])
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class Quiz(SphinxDirective):
    has_content = True

    def run(self):
        try:
            question, choices = read_quiz("\n".join(self.content))
        except ValueError as problem:
            raise self.error(str(problem)) from None
        box = nodes.container(classes=["quiz"])
        box += nodes.paragraph("", "Question", classes=["practice-title"])
        box += self.parse_text_to_nodes(question)
        for choice in choices:
            kind, verdict = ("right", RIGHT) if choice.is_right else ("wrong", WRONG)
            box += html(f'<details class="choice {kind}"><summary>')
            (paragraph,) = self.parse_text_to_nodes(choice.text)
            box += ChoiceText("", "", *paragraph.children)
            box += html("</summary>")
            box += self.parse_text_to_nodes(f"**{verdict}** {choice.why}")
            box += html("</details>")
        return [box]


class Collapsed(SphinxDirective):
    """{clue} and {answer}."""

    has_content = True

    def run(self):
        kind, title = {"clue": ("hint", "Hint"), "answer": ("solution", "Solution")}[self.name]
        opened = [html(f'<details class="collapsed {kind}"><summary>{title}</summary>')]
        if not self.content:
            return opened
        return [*opened, *self.parse_content_to_nodes(), html("</details>")]


class AnswerEnd(SphinxDirective):
    def run(self):
        return [html("</details>")]


def html(text):
    return nodes.raw("", text, format="html")


def setup(app):
    app.add_directive("predict", Predict)
    app.add_directive("quiz", Quiz)
    for name in ("clue", "answer"):
        app.add_directive(name, Collapsed)
    app.add_directive("answer-end", AnswerEnd)
    app.add_css_file("practice.css")
    app.add_js_file("practice.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
