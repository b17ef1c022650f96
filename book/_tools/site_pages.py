"""Sphinx extension: what the pages say of the project itself, and what surrounds every page.

On the pages: numbers of the recorded tables, the status of the lessons and records, BibTeX, links to Colab.
Around them: previews for links, "edit this page", a page for addresses that lead nowhere, and no MathJax
where there is no formula.
"""

import re
import sys
from functools import cache
from html import escape, unescape
from pathlib import Path
from urllib.parse import urlparse

import pandas as pd
import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

import gru_lite as gru
from gru_lite import labels
from gru_lite.experiment.table import is_reference

sys.path.insert(0, str(Path(__file__).parent))
import lessons
from lesson_pages import FOLDER, lesson_link

FORMULAS = (nodes.math, nodes.math_block)
PICTURE = "_static/hero.png"
GAP = "avg_gap_refs"
LONGEST = 200  # characters of a description; search engines cut at about as many


# ---------------------------------------------------------------- numbers of the recorded tables


@cache
def recorded():
    """{name: values of the seeds} of what the first page shows: no number on it is typed."""
    names = ("waterdigits_requests", "waterdigits_fresh_seeds")
    parts = [gru.read_record(name)[0] for name in names]
    requests = pd.concat(parts)  # all seeds, as in lesson 0
    rows = [("original", "none"), ("retrain", "none"), ("retrain", "replacement")]
    original, retrain, reweight = (gru.select(requests, method, 0.9, how)["GA"] for method, how in rows)
    methods, _ = gru.read_record("waterdigits_large_methods")
    return {
        "figure": gru.select(parts[0], "original", 0.9)["GA"],
        "harm": original - retrain,
        "back": reweight - retrain,
        "nothing": gru.select(methods, "original", 0.9)[GAP],
        "ceiling": gru.select(methods, "ceiling", 0.9, "replacement")[GAP],
    }


def recorded_text(words):
    """`harm` gives its mean, `harm interval` the ends of its 95% interval, `harm seeds` how many they are."""
    name, what = [*words.split(), "mean"][:2]
    values = recorded()[name]
    mean, half = gru.mean_interval(values)
    texts = {
        "mean": f"{mean:.1f}",
        "interval": f"{mean - half:.1f} to {mean + half:.1f}",
        "seeds": str(len(values)),
    }
    return texts[what]


class Recorded(SphinxRole):
    def run(self):
        try:
            return [nodes.Text(recorded_text(self.text))], []
        except KeyError as error:
            return [], [self.inliner.reporter.error(f"no recorded number {error}", line=self.lineno)]


class Start(SphinxRole):
    """{colab}`words <00_slug>` and {binder}`...`: a link to the lesson, from the address in _config.yml."""

    def __init__(self, address):
        self.address = address

    def run(self):
        words, slug = re.fullmatch(r"(.+?)\s*<(\w+)>", self.text).groups()
        return [nodes.reference("", words, refuri=self.address(slug))], []


# ---------------------------------------------------------------- the status of lessons and records


def table_of(head, rows, name):
    """A table whose cells are texts or inline nodes. `fold`: on a phone a row is a block (pages.css)."""
    table = nodes.table(classes=["fold", name])
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]

    def row(cells):
        texts = [[nodes.Text(cell)] if isinstance(cell, str) else [cell] for cell in cells]
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *text)) for text in texts))

    group += nodes.thead("", row(head))
    group += nodes.tbody("", *(row(cells) for cells in rows))
    table += group
    return table


def claims_held(notebook):
    """How many claims a lesson printed as holding. A cell that only asserts, and ran to its end, is one."""
    cells = [cell for cell in notebook.cells if "claim" in cell.metadata.get("tags", ())]
    said = ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]
    return sum(max(1, len(re.findall(r"^holds: ", text, flags=re.M))) for text in said)


@cache
def executed():
    """[(slug, title, provenance, claims that held)] of every lesson."""
    import nbformat

    found = []
    for script in lessons.lessons():
        notebook = nbformat.read(lessons.EXECUTED / script.name.replace(".py", ".ipynb"), as_version=4)
        title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        found.append((script.stem, title, notebook.metadata["gru_lite"], claims_held(notebook)))
    return found


def on_gpu(device):
    """A record names a GPU, or a processor and its cores."""
    return not device.endswith("cores")


class LessonStatus(SphinxDirective):
    """{lesson-status}: a row a lesson, then what the rows have in common."""

    def run(self):
        rows, package = [], lessons.package_hash()
        for slug, title, about, claims in executed():
            link = lesson_link(title, slug, self.env.docname)
            device = about["cpu"] if about["gpu"] == "none" else about["gpu"]
            cells = [about["date"], f"{device}, {about['cores']} cores", str(about["seconds"]), str(claims)]
            rows.append([link, *cells, about["profile"]])
        head = ["lesson", "executed", "on", "seconds", "claims that held", "profile"]
        gpu = [slug[:2] for slug, _, about, _ in executed() if about["gpu"] != "none"]
        older = sum(about["package"] != package for _, _, about, _ in executed())
        changed = f"The package has changed since {older} of these {len(rows)} lessons were executed."
        same = "All were executed with the package as it is here."
        on_gpus = f"Lessons that were executed on a GPU: {', '.join(gpu) or 'none'}."
        text = f"{changed if older else same} {on_gpus}"
        return [table_of(head, rows, "lesson-status"), nodes.paragraph("", text)]


class RecordStatus(SphinxDirective):
    """{record-status}: a row a recorded table of results/."""

    def run(self):
        rows = []
        for path in sorted((lessons.ROOT / "results").glob("*.csv")):
            _, about = gru.read_record(path.stem)
            cells = [about.get(key, "") for key in ("date", "device", "seeds", "commit")]
            rows.append([nodes.literal("", path.stem), *cells])
        gpu = [row[0].astext() for row in rows if on_gpu(row[2])]
        text = f"Records that were computed on a GPU: {', '.join(gpu) or 'none'}."
        head = ["record", "computed", "on", "seeds", "commit"]
        return [table_of(head, rows, "record-status"), nodes.paragraph("", text)]


class MethodTable(SphinxDirective):
    """{method-table}: a row a method of the recorded table, best first."""

    def run(self):
        large, about = gru.read_record("waterdigits_large_methods")
        times = gru.read_record("waterdigits_large_times")[0].set_index(["method", "sampling"])["share"]
        again, _ = gru.read_record("waterdigits_large_methods_2")
        rows = []
        for key, part in large.groupby(["method", "sampling"]):
            if is_reference(part):
                continue
            gaps = [part[GAP], gru.select(again, key[0], "0.9", key[1])[GAP]]
            shown = ["{:.1f} ± {:.1f}".format(*gru.mean_interval(gap)) for gap in gaps]
            rows.append((gaps[0].mean(), [labels.label(*key), *shown, f"{times[key]:.2f}"]))
        rows = [cells for _, cells in sorted(rows, reverse=True)]
        text = (
            f"This is waterdigits_large at ratio 0.9, {large['seed'].nunique()} seeds, with 95% intervals, "
            f"recorded on {about['date']} on {about['device']}. Times: one more seed, on one idle core."
        )
        head = ["row", "Avg. Gap, first search", "second search", "share of retraining's time"]
        return [table_of(head, rows, "method-table"), nodes.paragraph("", text)]


# ---------------------------------------------------------------- how to cite


def bibtex(entry, kind, key):
    """One entry of CITATION.cff as BibTeX."""
    people = [
        f"{person['family-names']}, {person['given-names']}"
        if "family-names" in person
        else f"{{{person['name']}}}"
        for person in entry["authors"]
    ]
    fields = {"author": " and\n             ".join(people)}
    names = ("title", "journal", "year", "version", "license", "url", "repository-code")
    fields |= {name: str(entry[name]) for name in names if name in entry}
    if "repository-code" in fields:
        fields["url"] = fields.pop("repository-code")
    fields = {name: value if name == "url" else value.replace("_", r"\_") for name, value in fields.items()}
    lines = [f"  {name:<7} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


class Cite(SphinxDirective):
    """{bibtex} paper, or {bibtex} book."""

    required_arguments = 1

    def run(self):
        path = lessons.ROOT / "CITATION.cff"
        self.env.note_dependency(str(path))
        book = yaml.safe_load(path.read_text(encoding="utf-8"))
        entry = {
            "paper": (book["preferred-citation"], "article", "demin2025group"),
            "book": (book, "software", "gru_lite"),
        }[self.arguments[0]]
        text = bibtex(*entry)
        return [nodes.literal_block(text, text, language="bibtex")]


# ---------------------------------------------------------------- around every page


def site_url():
    """Where GitHub serves the site of the repository in _config.yml; a preview needs whole addresses."""
    url, _ = lessons.repository()
    owner, name = urlparse(url).path.strip("/").split("/")
    return f"https://{owner}.github.io/{name}/"


def plain(paragraph):
    """The text of a paragraph, with what is left of a formula without TeX's commands."""
    text = paragraph.astext()
    for formula in paragraph.findall(nodes.math):
        text = text.replace(formula.astext(), re.sub(r"\\[a-zA-Z]+|[{}\\]", "", formula.astext()))
    return " ".join(text.split())


def shortened(text):
    """As many whole sentences as fit; of a long first sentence, as many words."""
    if len(text) <= LONGEST:
        return text
    ends = [match.end() for match in re.finditer(r"[.?!](?= )", text) if match.end() <= LONGEST]
    return text[: ends[-1]] if ends else text[: text.rindex(" ", 0, LONGEST - 1)] + "…"


def description(doctree, title):
    """The first paragraph that says something by itself: it isn't a label, and opens no list with a colon."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        text = re.sub(r"(^|(?<=[.?!]) )[^.?!]*:$", "", plain(paragraph).removeprefix("Result. "))
        if len(text) > 30:
            return shortened(text)
    return f"{title}. A page of the book on group-robust machine unlearning."


def previews(app, pagename, context, doctree):
    title = unescape(re.sub(r"<[^>]+>", "", context.get("title") or app.config.html_title))
    text = description(doctree, title)
    properties = {
        "og:type": "article" if doctree else "website",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": text,
        "og:url": f"{site_url()}{pagename}.html",
        "og:image": site_url() + PICTURE,
        "og:image:alt": "Test accuracy of a group against the share of it that is forgotten",
    }
    names = {"description": text, "twitter:card": "summary_large_image"}
    tags = [f'<meta property="{key}" content="{escape(value)}" />' for key, value in properties.items()]
    tags += [f'<meta name="{key}" content="{escape(value)}" />' for key, value in names.items()]
    return "\n".join(tags)


def source_of(app, docname):
    """The file that a reader would change: a lesson's script, or what a page takes in as a whole."""
    if docname.startswith(FOLDER):
        return f"notebooks/{docname.rpartition('/')[2]}.py"
    path = Path(app.env.doc2path(docname))
    taken = re.fullmatch(r"```\{include\} (\S+)\n```\s*", path.read_text(encoding="utf-8"))
    path = (path.parent / taken[1]).resolve() if taken else path
    return path.relative_to(app.srcdir).as_posix()


def edit_link(app, docname):
    url, branch = lessons.repository()
    address = escape(f"{url}/edit/{branch}/{source_of(app, docname)}")
    return f'<p class="edit-link"><a href="{address}">Edit this page</a></p>'


def finish_page(app, pagename, templatename, context, doctree):
    if app.builder.format != "html":
        return
    context["metatags"] = context.get("metatags", "") + previews(app, pagename, context, doctree)
    if pagename == "404":
        context["metatags"] = base_tag() + context["metatags"]
    if doctree:
        context["body"] += edit_link(app, pagename)
    # Sphinx gives a page the formulas of the pages below it, so the first page would load 2 MB for nothing.
    has_formula = doctree and any(doctree.findall(lambda node: isinstance(node, FORMULAS)))
    if not has_formula:
        path = app.config.mathjax_path
        context["script_files"] = [file for file in context["script_files"] if not is_mathjax(file, path)]


def is_mathjax(file, path):
    name = str(getattr(file, "filename", file) or "")
    return name.endswith(path) or "window.MathJax" in str(getattr(file, "attributes", ""))


def base_tag():
    """A page that is not found is served at any depth: its addresses start from the root of the site.

    That is /name/ on GitHub Pages, and / where the site has a host of its own.
    """
    path = urlparse(site_url()).path
    return (
        f'<base href="{path}" /><script>if (!location.pathname.startsWith("{path}")) '
        'document.querySelector("base").href = "/"</script>'
    )


NOT_FOUND = """
<h1>Page not found</h1>
<p>Nothing is at this address. It may be mistyped, or the page has moved.</p>
<ul>
  <li><a href="book/index.html">The first page</a> lists all lessons.</li>
  <li><a href="search.html">Search</a> finds words in the whole book.</li>
</ul>
<script>
  // The base would send "#place" to the first page.
  document.querySelectorAll('a[href^="#"]').forEach(a => { a.href = location.pathname + a.hash; });
</script>
"""


def not_found(app):
    if app.builder.format == "html":
        yield "404", {"title": "Page not found", "body": NOT_FOUND}, "page.html"


def setup(app):
    app.add_role("recorded", Recorded())
    app.add_role("colab", Start(lessons.colab_url))
    app.add_role("binder", Start(lessons.binder_url))
    app.add_directive("lesson-status", LessonStatus)
    app.add_directive("record-status", RecordStatus)
    app.add_directive("method-table", MethodTable)
    app.add_directive("bibtex", Cite)
    app.connect("html-collect-pages", not_found)
    # After the themes, which add their own scripts.
    app.connect("html-page-context", finish_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
