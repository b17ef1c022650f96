"""Sphinx extension: the index of the site's search, a script that works from disk, and its page."""

import json
from pathlib import Path

from docutils import nodes
from lesson_pages import FOLDER
from sphinx import addnodes

SYNONYMS = Path(__file__).with_name("search_synonyms.txt")
INDEX = "_static/search/index.js"
# In the order in which the results stand.
GROUPS = ("Lessons", "Glossary", "API", "Other pages")

# These have entries of their own, the others nothing to read.
APART = (nodes.section, addnodes.desc, addnodes.glossary)
SILENT = (nodes.raw, nodes.comment, nodes.math_block, nodes.substitution_definition, addnodes.toctree)


def group_of(docname):
    if docname.startswith(FOLDER):
        return "Lessons"
    if docname == "book/glossary":
        return "Glossary"
    if docname == "book/api" or docname.startswith("book/api/"):
        return "API"
    return "Other pages"


def plain(node):
    """The words of a node; a formula that needs TeX is three dots."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math):
        return "…" if "\\" in node.astext() else node.astext()
    return "" if isinstance(node, SILENT) else "".join(plain(child) for child in node.children)


def read(node, prose, code, is_output=False):
    """Add what stands in a node to the lists `prose` and `code`, less what has an entry of its own."""
    if isinstance(node, APART + SILENT) or "provenance" in node["classes"]:
        return
    if isinstance(node, nodes.literal_block):
        if not is_output:
            code.append(node.astext())
    elif isinstance(node, nodes.TextElement):
        prose.append(plain(node))
    else:
        for child in node.children:
            if isinstance(child, nodes.Element):
                read(child, prose, code, is_output or "cell_output" in node["classes"])


def parts_of(doctree):
    """Yield (anchor, title, nodes) of each section, documented name and term; a page has no anchor."""
    for number, section in enumerate(doctree.findall(nodes.section)):
        title = plain(section[0])
        yield section["ids"][0] if number else "", title, section[1:]
    for description in doctree.findall(addnodes.desc):
        if names := [name for line in description[:-1] for name in line["ids"]]:
            yield names[0], names[0], description[-1:]
    for glossary in doctree.findall(addnodes.glossary):
        for item in glossary.findall(nodes.definition_list_item):
            term = item[0]
            yield term["ids"][0], plain(term), item[1:]


def entries_of(docname, doctree, address):
    page = plain(next(doctree.findall(nodes.title)))
    for anchor, title, content in parts_of(doctree):
        prose, code = [], []
        for node in content:
            read(node, prose, code)
        text, code = (" ".join(" ".join(words).split()) for words in (prose, code))
        url = f"{address}#{anchor}" if anchor else address
        yield {
            "url": url, "group": group_of(docname), "page": page, "title": title, "text": text, "code": code,
        }  # fmt: skip


def synonyms():
    """Lists of words and phrases that mean the same."""
    lines = SYNONYMS.read_text(encoding="utf-8").splitlines()
    return [[word.strip() for word in line.split(",")] for line in lines if line and line[0] != "#"]


def collect(app, doctree, docname):
    if app.builder.format == "html":
        address = app.builder.get_target_uri(docname)
        app.site_search[docname] = list(entries_of(docname, doctree, address))


def write_index(app, exception):
    if exception is None and app.builder.format == "html":
        entries = [entry for docname in sorted(app.site_search) for entry in app.site_search[docname]]
        data = {"groups": GROUPS, "synonyms": synonyms(), "entries": entries}
        # A script and no JSON: a page that is opened from disk may load a script, but fetch nothing.
        script = f"globalThis.SEARCH_INDEX = {json.dumps(data, ensure_ascii=False)};\n"
        Path(app.outdir, INDEX).write_text(script, encoding="utf-8")


def setup(app):
    app.site_search = {}
    app.config.templates_path.append(str(Path(__file__).parents[1] / "_templates"))
    # Late, when the other extensions have put their text in.
    app.connect("doctree-resolved", collect, priority=900)
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
