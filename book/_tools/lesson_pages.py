"""Sphinx extension: links, numbers, provenance and measured minutes of the lessons; Colab notebooks inside
the site.
"""

import ast
import base64
import itertools
import json
import re
import shutil
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

sys.path.insert(0, str(Path(__file__).parent))
import lessons
from practice import ChoiceText

FOLDER = "book/executed/"
# How fast a lesson is read: prose with formulas, code that is not folded, figures.
WORDS_A_SECOND = 3.0
SECONDS_A_LINE = 3
SECONDS_A_FIGURE = 30
SECONDS_A_TABLE = 20
SECONDS_A_FORMULA = 15  # one on a line of its own
BARS = '<p class="table-note">A bar is the interval above it, a tick is 0. Compare lengths in one column.</p>'
# From so many columns on a table folds on a narrow screen.
FOLDED_FROM = 3
# In which no text becomes a link.
KEPT = (
    nodes.literal, nodes.literal_block, nodes.reference, addnodes.pending_xref, nodes.title, nodes.raw,
    ChoiceText,
)  # fmt: skip


def provenance_line(about):
    versions = about["versions"]
    gpu = "no GPU" if about["gpu"] == "none" else about["gpu"]
    return (
        f"Executed on {about['date']} in {about['seconds']} s, profile {about['profile']}, seed "
        f"{about['seed']}, with Python {versions['python']}, torch {versions['torch']}, NumPy "
        f"{versions['numpy']} and gru_lite {versions['gru_lite']} on {about['cpu']} ({about['cores']} "
        f"cores, {gpu}). Source {about['source'][:12]}, package {about['package'][:12]}."
    )


def add_links(app, doctree):
    """Under the title: Colab and download; at the end: where the numbers come from."""
    docname = app.env.docname
    if not docname.startswith(FOLDER):
        return
    stem = docname.removeprefix(FOLDER)
    notebook = read_notebook(Path(app.srcdir, f"{docname}.ipynb"))
    about = notebook["metadata"].get("gru_lite")
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None or about is None:
        raise lessons.LessonError(
            f"{docname}: no title or no provenance; execute it with book/_tools/lessons.py"
        )
    up = "../" * docname.count("/")
    times = (
        f"{reading_minutes(notebook)} minutes to read, {running_minutes(notebook)} to run on "
        f"{about['cores']} cores."
    )
    links = (
        f'<p class="lesson-minutes">{times}</p>'
        '<p class="lesson-links">'
        f'<a class="lesson-link badge" href="{escape(lessons.colab_url(stem))}">'
        f'<img src="{up}_static/{Path(lessons.BADGE).name}" class="dark-light" alt="Open in Colab" '
        'width="142" height="24"></a> '
        f'<a class="lesson-link" href="{up}notebooks/{stem}.ipynb" download>Download notebook</a></p>'
    )
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", links, format="html"))
    title.parent.append(nodes.paragraph("", provenance_line(about), classes=["provenance"]))


def link_lessons(app, doctree):
    """Make every "lesson 3" of a text a link to that lesson."""
    here = app.env.docname.removeprefix(FOLDER)
    documents = {lessons.number_of(script.stem): script.stem for script in lessons.lessons()}
    for text in list(doctree.findall(nodes.Text)):
        if is_inside(text, KEPT):
            continue
        pieces = re.split(r"\b([Ll]esson (\d))(?![\d.])", text.astext())
        if len(pieces) == 1:
            continue
        new = [nodes.Text(pieces[0])]
        for words, number, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            stem = documents.get(int(number))
            if stem is None:
                raise lessons.LessonError(f"{app.env.docname} mentions {words}, and there is none")
            link = nodes.Text(words) if stem == here else lesson_link(words, stem, app.env.docname)
            new += [link, nodes.Text(after)]
        text.parent.replace(text, new)


def lesson_link(words, stem, docname):
    """A link with these words from a page to a lesson, for Sphinx to resolve."""
    return addnodes.pending_xref(
        "", nodes.inline("", words), refdomain="std", reftype="doc", reftarget=f"/{FOLDER}{stem}",
        refexplicit=True, refwarn=True, refdoc=docname,
    )  # fmt: skip


def is_inside(node, kinds):
    """Whether one of the nodes around this one is of these kinds."""
    while (node := node.parent) is not None:
        if isinstance(node, kinds):
            return True
    return False


def number_by_lesson(app, env):
    """Figure 3.2 is the second of lesson 3; of another page, Figure 2 is its second. Exercises likewise."""
    for docname, kinds in env.toc_fignumbers.items():
        first = ()
        if docname.startswith(FOLDER):
            first = (lessons.number_of(docname.removeprefix(FOLDER)),)
        for numbers in kinds.values():
            for k, name in enumerate(sorted(numbers, key=numbers.get), start=1):
                numbers[name] = (*first, k)
    return []


def inline_figures(app, doctree, docname):
    """Put the figures of a lesson into the page itself, so that they take its colours.

    The black and the dark grey of text become the page's text colour, the white ground becomes none. Beside
    the figure for wide screens lies the one for narrow ones, see `gru_lite.plots.show`.
    """
    if app.builder.format != "html" or not docname.startswith(FOLDER):
        return
    figures = (node for node in doctree.findall(nodes.image) if node["uri"].endswith(".svg"))
    for k, node in enumerate(list(figures)):
        picture = Path(app.srcdir, node["uri"]).read_text(encoding="utf-8")
        inside = re.search(r'<metadata class="narrow">(.*?)</metadata>', picture)
        parts = {"wide": picture.replace(inside.group(), "") if inside else picture}
        if inside:
            parts["narrow"] = base64.b64decode(inside.group(1)).decode()
        drawn = "".join(
            f'<div class="{kind}">{adapted(svg, f"{kind[0]}{k}-", node.get("alt", ""))}</div>'
            for kind, svg in parts.items()
        )
        kinds = "figure-svg" + " two" * bool(inside)
        node.parent.replace(node, nodes.raw("", f'<div class="{kinds}">{drawn}</div>', format="html"))


def adapted(svg, prefix, alt):
    """An SVG of matplotlib for a page: colours of the page, ids of its own, alt text."""
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}", svg)
    svg = re.sub(r"#(000000|333333)\b", "currentColor", svg)
    svg = re.sub(r"#e6e6e6\b", "var(--figure-grid)", svg)
    svg = re.sub(r"(?i)#0072b2\b", "var(--figure-blue)", svg)
    svg = re.sub(r"(fill: ?)#ffffff\b", r"\1none", svg)
    svg = re.sub(r"font: (\S*)px 'DejaVu Sans'[^;\"]*", r"font: \1px var(--pst-font-family-base)", svg)
    width = re.search(r'width="([\d.]+)pt"', svg)
    svg = re.sub(r'(width|height)="[\d.]+pt"', "", svg, count=2)
    size = f'style="width: {float(width.group(1)) * 4 / 3:.0f}px"'
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}" {size}', 1)


def fold_code(app, doctree):
    """Collapse the code of figures and tables, and each claim to one line that says that it was checked."""
    if not app.env.docname.startswith(FOLDER):
        return
    cells = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    about = [(cell["cell_metadata"], cell.children[0].astext()) for cell in cells]
    for cell, kind in zip(cells, kinds_of(about)):
        if kind == "claim":
            collapse(cell, 0, len(cell.children), kind, claims_line(cell))
        elif kind in ("figure", "table"):
            collapse(cell, 0, 1, "code", f"Code of the {kind}")


def kinds_of(cells):
    """What each code cell, (metadata, source), is for a reader: "claim", "solution", "hidden", or "figure" or
    "table" where it only draws one and nothing that stays in sight needs its names; else "code".
    """
    kinds = []
    for metadata, source in cells:
        tags = metadata.get("tags", ())
        named = {"claim": "claim", "solution": "solution", "remove-cell": "hidden"}
        kind = next((named[tag] for tag in tags if tag in named), None)
        if kind is None:
            is_figure = "figure" in metadata.get("mystnb", {})
            kind = "figure" if is_figure else "table" if only_shows(source) else "code"
        kinds.append(kind)
    needed = set()
    for k in reversed(range(len(cells))):
        if kinds[k] not in ("figure", "table", "code"):
            continue
        assigned, used = names_of(cells[k][1])
        if assigned & needed:
            kinds[k] = "code"
        if kinds[k] == "code":
            needed = needed - assigned | used
    return kinds


def targets_of(assignment):
    """The names that an assignment gives a value to."""
    targets = [node for target in assignment.targets for node in ast.walk(target)]
    return {node.id for node in targets if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def names_of(source):
    """(the names that code assigns, those that it uses and has from code before it)."""
    assigned, used = set(), set()
    for statement in ast.parse(source).body:
        nodes_of = list(ast.walk(statement))
        names = [node for node in nodes_of if isinstance(node, ast.Name)]
        own = {node.arg for node in nodes_of if isinstance(node, ast.arg)}  # of functions
        of_loops = [node.target for node in nodes_of if isinstance(node, ast.comprehension | ast.For)]
        own |= {name.id for target in of_loops for name in ast.walk(target) if isinstance(name, ast.Name)}
        stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        is_function = isinstance(statement, ast.FunctionDef)
        # Inside, `rows = 1` makes a name of its own; `rows[k] = 1` uses one.
        if is_function or isinstance(statement, ast.For | ast.With):
            own |= {name for node in nodes_of if isinstance(node, ast.Assign) for name in targets_of(node)}
        used |= {name.id for name in names if isinstance(name.ctx, ast.Load)} - own - assigned
        if not isinstance(statement, ast.If | ast.While | ast.Try):  # what may not run assigns nothing
            assigned |= {statement.name} if is_function else stored
    return assigned, used


def only_shows(source):
    """Whether a cell ends with a table, and neither trains or scores a model nor defines a function."""
    tree = ast.parse(source)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    work = {"gru.fit", "gru.unlearn", "gru.score", "gru.predict", "gru.predictions", "gru.run"}
    last = ast.unparse(tree.body[-1]) if tree.body else ""
    defines = any(isinstance(node, ast.FunctionDef) for node in tree.body)
    return last.startswith("tables.show(") and not defines and not work & calls


def collapse(parent, first, last, kind, summary):
    """Put the children [first, last) of a node into a <details>."""
    parent.insert(last, nodes.raw("", "</details>", format="html"))
    opened = f'<details class="folded {kind}"><summary>{escape(summary)}</summary>'
    parent.insert(first, nodes.raw("", opened, format="html"))


def claims_line(cell):
    """How many statements a cell checks: the asserts of its code, and the lines of `gru.check_claim`."""
    text = cell.astext()
    count = len(re.findall(r"^holds: ", text, flags=re.M)) + len(re.findall(r"^ *assert ", text, flags=re.M))
    if not count:
        return "Not checked in this profile"
    return (
        f"Checked: {count} statements of the text hold" if count > 1 else "Checked: what the text says holds"
    )


def read_notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def reading_minutes(notebook):
    """Minutes to read an executed lesson without its folded parts, see book/how_to_use.md."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    kinds = iter(kinds_of([(cell["metadata"], "".join(cell["source"])) for cell in code]))
    seconds = 0
    is_solution = False
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        kind = next(kinds) if cell["cell_type"] == "code" else "text"
        if kind == "text":
            marks = re.findall(r"^:::\{(answer|answer-end)\}", text, flags=re.M)
            # Solutions and hints are folded.
            text = re.sub(r"^:::\{answer\}.*?(^:::\{answer-end\}|\Z)", "", text, flags=re.M | re.S)
            if is_solution:
                text = text.partition(":::{answer-end}")[2]
            text = re.sub(r"^:::\{clue\}.*?^:::", "", text, flags=re.M | re.S)
            text, formulas = re.subn(r"\$\$.*?\$\$", "", text, flags=re.S)
            seconds += len(text.split()) / WORDS_A_SECOND + SECONDS_A_FORMULA * formulas
            is_solution = marks[-1] == "answer" if marks else is_solution
        elif kind in ("figure", "table", "code"):
            if kind == "code":
                seconds += SECONDS_A_LINE * len([line for line in text.splitlines() if line.strip()])
            seconds += SECONDS_A_FIGURE * ("figure" in cell["metadata"].get("mystnb", {}))
            shown = [str(output.get("data", "")) for output in cell["outputs"]]
            seconds += SECONDS_A_TABLE * sum('class="numbers"' in output for output in shown)
    return round(seconds / 60)


def running_minutes(notebook):
    """What an executed lesson took."""
    return f"{max(notebook['metadata']['gru_lite']['seconds'] / 60, 0.1):.1f}"


def adapt_tables(app, doctree, docname):
    """Number the tables of a page, as its figures are: Table 3.2 is the second of lesson 3. Prepare wide ones
    for narrow screens.
    """
    if not docname.startswith(FOLDER):
        return
    lesson = lessons.number_of(docname.removeprefix(FOLDER))
    is_explained = False
    tables = [node for node in doctree.findall(nodes.raw) if '<div class="numbers"' in node.astext()]
    for k, node in enumerate(tables, start=1):
        number = f'<span class="caption-number">Table {lesson}.{k} </span>'
        text = labelled(node.astext().replace("<caption>", f"<caption>{number}", 1))
        if 'class="interval"' in text and not is_explained:
            text += BARS
            is_explained = True
        node.parent.replace(node, nodes.raw("", text, format="html"))


def fold_tables(app, doctree):
    """Prepare the tables of text for narrow screens, too, where a row becomes a block."""
    if not app.env.docname.startswith(FOLDER):
        return
    for table in doctree.findall(nodes.table):
        head, *rows = table.findall(nodes.row)
        if len(head.children) < FOLDED_FROM:
            continue
        table["classes"].append("fold")
        for row in rows:
            for name, cell in zip(head.children[1:], row.children[1:]):
                if cell.children and name.astext():
                    cell[0].insert(0, nodes.inline("", name.astext() + ": ", classes=["column"]))


def labelled(table):
    """Say in each cell of a wide table of which column it is, for narrow screens, which show no head."""
    head, rows = table.split("</thead>")
    names = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", head.partition("<thead>")[2])[1:]
    if len(names) < FOLDED_FROM:
        return table
    first, *cells = rows.split("<td>")
    starts = (f'<td data-label="{name}">' for name in itertools.cycle(names))
    rows = first + "".join(itertools.chain(*zip(starts, cells)))
    return f"{head}</thead>{rows}".replace('class="numbers"', 'class="numbers folds"')


def minutes(name, rawtext, text, lineno, inliner, options=None, content=None):
    """{lesson-minutes}`01_slug` and {reading-minutes}`01_slug`, so that no page names them by hand."""
    path = lessons.EXECUTED / f"{text}.ipynb"
    if not path.exists():
        return [], [inliner.reporter.error(f"{text} has not been executed", line=lineno)]
    count = running_minutes if name == "lesson-minutes" else reading_minutes
    return [nodes.Text(str(count(read_notebook(path))))], []


def copy_notebooks(app, exception):
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir, "notebooks")
        target.mkdir(exist_ok=True)
        for script in lessons.lessons():
            shutil.copy(script.with_suffix(".ipynb"), target)


def setup(app):
    app.add_role("lesson-minutes", minutes)
    app.add_role("reading-minutes", minutes)
    app.connect("doctree-read", add_links)
    app.connect("doctree-read", link_lessons)
    app.connect("doctree-read", fold_code)
    app.connect("doctree-read", fold_tables)
    app.connect("doctree-resolved", inline_figures)
    app.connect("doctree-resolved", adapt_tables)
    # After Sphinx has numbered them through the whole book.
    app.connect("env-get-updated", number_by_lesson, priority=900)
    app.connect("build-finished", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
