"""The package's documentation on the built site: whole, linked, rendered rightly, found by old addresses."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from built_site import PAGES, SITE

pytestmark = [pytest.mark.slow, pytest.mark.site]

ROOT = Path(__file__).resolve().parents[1]
ROOMS = [name for name in PAGES if name.startswith("book/api/")]
# The headings that the package's documentation had when it was one page.
OLD_HEADINGS = {
    "groups": "groups-requests-and-reweight", "data": "data data-dataset data-cache", "models": "models",
    "train": "training train-config train-parallel", "methods": "unlearning-methods methods methods-eu-k",
    "information": "mutual-information", "scores": "scores-and-statistics scores-scores scores-statistics",
    "recipes": "recipes recipes-configs", "experiment": "experiments experiment-options experiment-tuning",
    "plots": "figures-and-names plots labels", "seeding": "randomness-and-errors seeding errors",
    "cli": "command-line",
}  # fmt: skip


@pytest.fixture(autouse=True)
def site():
    if not PAGES:
        pytest.skip("skipped: no site, run make site")


class Places(HTMLParser):
    """What a page can be found at, and where it leads."""

    def __init__(self, name):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed((SITE / name).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name") if tag == "a" else None} - {None}
        if tag == "a" and attributes.get("href"):
            self.links.append((attributes["href"], attributes.get("class") or ""))


def test_every_link_leads_somewhere():
    """On all pages, those of the source (_modules) and the index included."""
    places = {name: Places(name) for name in PAGES}
    wrong, backs = [], 0
    for name, place in places.items():
        for href, kind in place.links:
            if urlparse(href).scheme or href.startswith("//"):
                continue
            address, anchor = urldefrag(urljoin(f"https://site/{name}", href))
            target = unquote(urlparse(address).path.lstrip("/")) or "index.html"
            if not (SITE / target).is_file():
                wrong.append(f"{name}: {href} leads nowhere")
            elif anchor and target in places and unquote(anchor) not in places[target].anchors:
                wrong.append(f"{name}: {href} names no place on that page")
            if "viewcode-back" in kind:
                backs += 1
                if target not in ROOMS:
                    wrong.append(f"{name}: {href} leads from the source to no page of a room")
    assert not wrong, "\n".join(wrong)
    assert backs > 200 and sum(name.startswith("_modules/") for name in places) > 30


def test_every_module_has_its_place():
    """Each file of the package is documented on one page, that of its room."""
    shown = [(anchor, name) for name in ROOMS for anchor in Places(name).anchors]
    pages = {anchor.removeprefix("module-"): name for anchor, name in shown if anchor.startswith("module-")}
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "gru_lite").rglob("*.py")]
    names = {".".join(path.parts) for path in modules if not path.name.startswith("__")}
    assert names <= set(pages), names - set(pages)
    shared = {
        "observed": "groups",
        "labels": "plots",
        "tables": "plots",
        "checks": "plots",
        "colab": "plots",
        "errors": "seeding",
        "files": "seeding",
    }
    for module, page in pages.items():
        room = module.split(".")[1]
        assert page == f"book/api/{shared.get(room, room)}.html", module


def test_overview_leads_to_every_room():
    links = {urljoin("book/api.html", href) for href, _ in Places("book/api.html").links}
    article = (
        (SITE / "book/api.html")
        .read_text(encoding="utf-8")
        .partition("<article")[2]
        .partition("</article")[0]
    )
    for name in ROOMS:
        assert name in links and f'href="{name.removeprefix("book/")}"' in article, name


def sections_of(docstring):
    """The names that a docstring of Google's style explains under Args and Attributes; pairs count as two."""
    names, section = [], None
    for line in (docstring or "").splitlines():
        if line and not line.startswith(" "):
            section = line.removesuffix(":") if line.endswith(":") else None
        elif section in ("Args", "Attributes") and (
            entry := re.match(r"    (\*{0,2}\w[\w*, ]*?)(?: \(.*\))?: ", line)
        ):
            names += [name.strip().lstrip("*") for name in entry[1].split(",")]
    return names


def documented(path):
    """(name, names that its docstring explains) of what is public in a file, as Sphinx shows it."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
                yield f"{prefix}.{child.name}", sections_of(ast.get_docstring(child))
                if isinstance(child, ast.ClassDef):
                    yield from walk(child, f"{prefix}.{child.name}")

    return walk(ast.parse(path.read_text(encoding="utf-8")), module)


def test_docstrings_render():
    """Every name that a docstring explains is a name on the page. None is taken for a type, and no letter
    with a full stop ("S.") for an item of a list.
    """
    from bs4 import BeautifulSoup

    rendered, wrong = {}, []
    for name in ROOMS:
        article = BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser").select_one(
            "article"
        )
        wrong += [f"{name}: empty item of a list in {item.find_previous('dt', id=True)['id']}"
                  for item in article.select("li") if not item.get_text(strip=True)]  # fmt: skip
        for signature in article.select("dt.sig[id]"):
            fields = signature.find_next_sibling("dd").find("dl", class_="field-list", recursive=False)
            rendered[signature["id"]] = []
            for field in fields.find_all("dt", recursive=False) if fields else ():
                kind, body = field.get_text(strip=True).strip(":"), field.find_next_sibling("dd")
                if kind in ("Parameters", "Variables"):
                    entries = body.select("ul.simple > li") or [body]
                    rendered[signature["id"]] += [entry.find("strong").get_text() for entry in entries]
                    types = re.findall(r"^\w+ \(([^)]*),\)", "\n".join(e.get_text() for e in entries), re.M)
                    wrong += [f"{signature['id']}: a pair renders as ({pair},)" for pair in types]
                # A colon in a sentence makes what stands before it a type.
                elif kind in ("Return type", "Type") and len(body.get_text().split()) > 3:
                    wrong.append(f"{signature['id']}: {kind} {body.get_text(strip=True)!r}")
    explained = 0
    for path in sorted((ROOT / "gru_lite").rglob("*.py")):
        for name, names in documented(path):
            if name in rendered and sorted(rendered[name]) != sorted(names):
                wrong.append(f"{name}: {names} in the source, {rendered[name]} on the page")
            explained += len(names) if name in rendered else 0
    assert not wrong, "\n".join(wrong)
    assert explained > 300


def test_old_addresses_still_lead_there(page, base):
    """book/api.html#NAME goes on to the room's page: all names and modules of each, and the old headings."""
    page.goto(f"{base}book/api.html")
    wrong = []
    for name in ROOMS:
        source = (SITE / name).read_text(encoding="utf-8")
        names = re.findall(r'<dt class="sig [^>]*id="([^"]+)"', source)
        modules = re.findall(r'id="(module-gru_lite[^"]*)"', source)
        assert names and modules, name
        anchors = [*names, *modules, *OLD_HEADINGS[Path(name).stem].split()]
        found = page.evaluate("anchors => anchors.map(addressOf)", anchors)
        for anchor, address in zip(anchors, found):
            if address != f"{name.removeprefix('book/')}#{anchor}":
                wrong.append(f"{anchor} leads to {address}")
            elif f'id="{anchor}"' not in source:
                wrong.append(f"{anchor} is not on {name}")
    assert not wrong, "\n".join(wrong)
    # A visitor is sent there.
    page.goto(f"{base}book/api.html#module-gru_lite.groups")
    page.wait_for_url("**/book/api/groups.html#module-gru_lite.groups")
    # Also when the anchor is typed on the page; what is no name of the package stays.
    page.goto(base + "book/api.html#nothing")
    assert page.url.endswith("book/api.html#nothing")
    page.evaluate("location.hash = 'gru_lite.groups.reweight'")
    page.wait_for_url("**/book/api/groups.html#gru_lite.groups.reweight")
    # Going on stops what the overview was still loading.
    assert not [trouble for trouble in page.troubles if "ERR_ABORTED" not in trouble]
