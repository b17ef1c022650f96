"""Sphinx extension: the first use of a glossary term on a page is dotted, and its sentence appears on hover,
focus and tap.

The sentence is the first of the entry in book/glossary.md. Its only formulas are single letters, so that it
reads without MathJax.
"""

import re

import lessons
from docutils import nodes
from lesson_pages import KEPT, is_inside
from practice import html
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

GLOSSARY = "book/glossary"
NO_TERMS = (*KEPT, nodes.caption, nodes.math, nodes.math_block, addnodes.desc, addnodes.download_reference)


def entries(env):
    """{term: (its anchor, the nodes of its first sentence)} from the glossary's doctree."""
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        term = next(item.findall(nodes.term))
        paragraph = next(item.findall(nodes.definition)).next_node(nodes.paragraph)
        found[term.astext()] = (term["ids"][0], first_sentence(term.astext(), paragraph))
    return found


def first_sentence(term, paragraph):
    kept = []
    for node in paragraph.children:
        text = node.astext()
        if isinstance(node, nodes.math):
            if not re.fullmatch(r"[A-Za-z]", text):
                raise lessons.LessonError(f"glossary, {term}: a first sentence in words, without ${text}$")
            kept.append(nodes.emphasis("", text))
            continue
        end = re.search(r"\.(\s|$)", text) if isinstance(node, nodes.Text) else None
        kept.append(nodes.Text(text[: end.start()] + "." if end else text))
        if end:
            return kept
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
        parts, changed = [text.astext()], False
        for term, regex in list(left.items()):
            for k, part in enumerate(parts):
                match = regex.search(part) if isinstance(part, str) else None
                if match:
                    anchor, sentence = glossary[term]
                    marked = note(app, docname, match.group(), anchor, sentence)
                    parts[k : k + 1] = [part[: match.start()], marked, part[match.end() :]]
                    del left[term]
                    changed = True
                    break
        if changed:
            new = [n for p in parts for n in ([nodes.Text(p)] if isinstance(p, str) else p)]
            text.parent.replace(text, new)


def note(app, docname, words, anchor, sentence):
    """The nodes of a term and what appears beside it."""
    href = make_refnode(app.builder, docname, GLOSSARY, anchor, nodes.Text(words))["refuri"]
    name = f"note-{anchor}"
    return [
        html(f'<span class="term-box"><a class="term" href="{href}" aria-describedby="{name}">'),
        nodes.Text(words),
        html(f'</a><span class="term-note" role="tooltip" id="{name}">'),
        *[node.deepcopy() for node in sentence],
        html("</span></span>"),
    ]


def setup(app):
    app.connect("doctree-resolved", mark_terms)
    app.add_css_file("terms.css")
    app.add_js_file("terms.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
