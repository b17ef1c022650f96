"""Sphinx extension: the first use of a glossary term on a page is dotted, and its sentence appears on hover,
focus and tap.

The sentence is the first of the entry in book/glossary.md. Its only formulas are single letters, so that it
reads without MathJax.
"""

import re
from functools import cache
from html import escape

import lessons
from docutils import nodes
from lesson_pages import KEPT, is_inside
from sphinx import addnodes

GLOSSARY = "book/glossary"
NO_TERMS = (*KEPT, nodes.caption, nodes.math, nodes.math_block, addnodes.desc, addnodes.download_reference)


class Term(nodes.inline):
    """A term with its note. Its text is the words alone, for the search and for previews."""


@cache
def entries(env):
    """{term: (its anchor, its first sentence as HTML)} from the glossary's doctree."""
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        term = next(item.findall(nodes.term))
        paragraph = next(item.findall(nodes.definition)).next_node(nodes.paragraph)
        found[term.astext()] = (term["ids"][0], first_sentence(term.astext(), paragraph))
    return found


def first_sentence(term, paragraph):
    kept = []
    for node in paragraph.children:
        if isinstance(node, addnodes.pending_xref) and node.get("refdomain") == "cite":
            kept[-1] = kept[-1].rstrip()  # a note has no references, and a raw key tells nobody anything
            continue
        text = node.astext()
        if isinstance(node, nodes.math):
            if not re.fullmatch(r"[A-Za-z]", text):
                raise lessons.LessonError(f"glossary, {term}: a first sentence in words, without ${text}$")
            kept.append(f"<em>{text}</em>")
            continue
        end = re.search(r"\.(\s|$)", text) if isinstance(node, nodes.Text) else None
        kept.append(escape(text[: end.start()] + "." if end else text))
        if end:
            return "".join(kept)
    raise lessons.LessonError(f"glossary, {term}: its first sentence does not end")


def pattern(term):
    """How a term is written in a text: abbreviations as they are, words in either case and in the plural."""
    flags = 0 if any(letter.isupper() for letter in term[1:]) else re.I
    return re.compile(rf"(?<![\w-]){re.escape(term)}(?:s|es)?(?![\w-])", flags)


def mark_terms(app, doctree, docname):
    """Dot the first use of each term in the running text of a page."""
    if app.builder.format != "html" or docname == GLOSSARY or docname.startswith(("book/api", "_modules")):
        return
    glossary = entries(app.env)
    left = {term: pattern(term) for term in sorted(glossary, key=len, reverse=True)}
    for text in list(doctree.findall(nodes.Text)):
        if is_inside(text, NO_TERMS):
            continue
        parts = [text.astext()]
        for term, regex in list(left.items()):
            for k, part in enumerate(parts):
                match = regex.search(part) if isinstance(part, str) else None
                if match:
                    anchor, sentence = glossary[term]
                    marked = Term("", match.group(), sentence=sentence, name=f"note-{anchor}")
                    marked["href"] = f"{app.builder.get_relative_uri(docname, GLOSSARY)}#{anchor}"
                    parts[k : k + 1] = [part[: match.start()], marked, part[match.end() :]]
                    del left[term]
                    break
        if len(parts) > 1:
            new = [nodes.Text(part) if isinstance(part, str) else part for part in parts]
            text.parent.replace(text, new)


def visit_term(self, node):
    link = f'<a class="term" href="{escape(node["href"])}" aria-describedby="{node["name"]}">'
    self.body.append(f'<span class="term-box">{link}')


def depart_term(self, node):
    note = f'<span class="term-note" role="tooltip" id="{node["name"]}">{node["sentence"]}</span>'
    self.body.append(f"</a>{note}</span>")


def setup(app):
    app.add_node(Term, html=(visit_term, depart_term))
    app.connect("doctree-resolved", mark_terms)
    app.add_css_file("terms.css")
    app.add_js_file("terms.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
