"""The pages about the project, and what surrounds every page: previews, edit links, 404, print, keys."""

import http.server
import json
import re
import runpy
import threading
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
import yaml
from built_site import BOOK, MARKS, SITE, open_page

ROOT = Path(__file__).resolve().parents[1]
pytestmark = MARKS
EXECUTED = sorted((ROOT / "book" / "executed").glob("*.ipynb"))
LESSONS = [name for name in BOOK if "/executed/" in name]
A4 = {"width": 680, "height": 1000}  # CSS pixels between the margins


def html(name):
    return (SITE / name).read_text(encoding="utf-8")


def text(name):
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html(name))).split())


def means(score="GA", records=("waterdigits_requests", "waterdigits_fresh_seeds")):
    """{(method, sampling): values of the seeds at 0.9}, read without the package."""
    files = [ROOT / "results" / f"{record}.csv" for record in records]
    table = pd.concat([pd.read_csv(file, comment="#") for file in files]).fillna({"sampling": "none"})
    table = table[table["ratio"] == 0.9].sort_values("seed")
    return {key: part[score].to_numpy() for key, part in table.groupby(["method", "sampling"])}


# ---------------------------------------------------------------- numbers, status, citation


def test_first_page_says_what_the_records_say():
    source = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert not re.findall(r"\b\d\d\.\d\b", source), "a number on the first page is typed"
    accuracy, gap = means(), means("avg_gap_refs", ["waterdigits_large_methods"])
    retrain = accuracy["retrain", "none"]
    harm = (accuracy["original", "none"] - retrain).mean()
    back = (accuracy["retrain", "replacement"] - retrain).mean()
    shown = text("book/index.html")
    assert f"{harm:.1f} points lost" in shown and f"{back:.1f} points given back" in shown
    assert f"{gap['original', 'none'].mean():.1f} of 100 for doing nothing" in shown


def test_first_figure_names_the_ends_of_its_curves(monkeypatch):
    import matplotlib.figure

    drawn = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    runpy.run_path(str(ROOT / "book" / "_tools" / "hero.py"))
    accuracy = means()
    rows = [("original", "none"), ("retrain", "none"), ("retrain", "replacement")]
    labels = [label.get_text() for label in drawn[0].axes[0].texts]
    assert labels == [f"{accuracy[row].mean():.0f}%" for row in rows]


def test_first_page_leads_to_a_start(page, base):
    open_page(page, base + "book/index.html")
    links = page.evaluate("[...document.querySelectorAll('.calls a')].map(a => a.getAttribute('href'))")
    assert links[0] == "executed/00_start_here.html" and "arxiv.org" in links[2]
    assert links[1].startswith("https://colab.research.google.com/") and "00_start_here" in links[1]
    minutes = json.loads(EXECUTED[0].read_text())["metadata"]["gru_lite"]["seconds"] / 60
    assert f"takes {minutes:.1f} minutes" in page.inner_text(".calls")
    page.set_viewport_size({"width": 360, "height": 900})
    wide = (
        "[...document.querySelectorAll('.fold td')].filter(e => e.getBoundingClientRect().right > 360).length"
    )
    assert page.evaluate(wide) == 0, "the table of lessons is wider than a phone"


def test_status_says_what_the_notebooks_say(page, base):
    open_page(page, base + "book/status.html")
    rows = [row.locator("td").all_inner_texts() for row in page.locator(".lesson-status tbody tr").all()]
    assert len(rows) == len(EXECUTED)
    for path, (title, date, device, seconds, claims, profile) in zip(EXECUTED, rows):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        about = notebook["metadata"]["gru_lite"]
        assert title in "".join(notebook["cells"][0]["source"])
        assert [date, seconds, profile] == [about["date"], str(about["seconds"]), about["profile"]]
        assert (about["cpu"] if about["gpu"] == "none" else about["gpu"]) in device
        tagged = [cell for cell in notebook["cells"] if "claim" in cell["metadata"].get("tags", ())]
        assert int(claims) >= len(tagged) > 0
    some = [path.stem[:2] for path in EXECUTED if '"gpu": "none"' not in path.read_text(encoding="utf-8")]
    assert f"executed on a GPU: {', '.join(some) or 'none'}." in text("book/status.html")
    for record in (ROOT / "results").glob("*.csv"):
        assert record.stem in html("book/status.html")


def test_citation_is_valid_and_can_be_copied(page, base):
    from pybtex.database import parse_string

    open_page(page, base + "book/cite.html")
    paper, book = page.evaluate(
        "[...document.querySelectorAll('.highlight-bibtex pre')].map(e => e.innerText)"
    )
    assert page.locator(".highlight-bibtex button.copybtn").count() == 2
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    for entry, source in ((paper, said["preferred-citation"]), (book, said)):
        (parsed,) = parse_string(entry, "bibtex").entries.values()
        assert parsed.fields["title"].replace("\\_", "_") == source["title"]
        assert len(parsed.persons["author"]) == len(source["authors"])


# ---------------------------------------------------------------- around every page


def test_every_page_has_a_preview():
    said = {}
    for name in BOOK:
        # property is Open Graph's, name everybody else's
        tags = dict(re.findall(r'<meta (?:name|property)="([\w:]+)" content="([^"]*)"', html(name)))
        said[name] = tags["description"]
        assert 20 < len(unescape(tags["description"])) <= 200, name
        assert "<" not in unescape(tags["description"]), name
        assert tags["og:title"] and tags["og:description"] == tags["description"] and tags["twitter:card"]
        assert tags["og:url"].endswith(name)
        root = tags["og:url"].removesuffix(name)
        assert (SITE / tags["og:image"].removeprefix(root)).is_file(), name
    assert len(set(said.values())) == len(said), "two pages are described alike"


def test_every_page_can_be_edited():
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    start = f"{repository['url']}/edit/{repository['branch']}/"
    for name in BOOK:
        sources = [ROOT / Path(name).with_suffix(suffix) for suffix in (".md", ".ipynb")]
        if not any(source.is_file() for source in sources):
            continue  # written by Sphinx
        (link,) = re.findall(r'class="edit-link"><a href="([^"]+)"', html(name))
        path = link.removeprefix(start)
        assert (ROOT / path).is_file(), f"{name}: {link}"
        if name in LESSONS:
            assert path == f"notebooks/{Path(name).stem}.py"


def test_mathjax_comes_with_formulas_only():
    for name in BOOK:
        has_formula = re.search(r'class="math ', html(name)) is not None
        assert ("mathjax/tex-svg.js" in html(name)) == has_formula, name


@pytest.mark.parametrize("prefix", ["/", "/gru-lite/"])
def test_not_found_works_at_any_depth(browser, prefix):
    class Pages(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            path = SITE / self.path.partition("?")[0].removeprefix(prefix)
            found = self.path.startswith(prefix) and path.is_file()
            file = path if found else SITE / "404.html"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", self.guess_type(str(file)))
            self.end_headers()
            self.wfile.write(file.read_bytes())

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        page = browser.new_page()
        wrong = []
        page.on("response", lambda r: wrong.append(r.url) if r.status == 404 else None)
        address = f"http://127.0.0.1:{httpd.server_port}{prefix}book/old/er/page.html"
        page.goto(address)
        if prefix != "/":  # at the root, the browser first tries what it reads before the script runs
            assert wrong == [address], "something that the page needs is not found"
        bare = "[...document.querySelectorAll('link[rel=stylesheet]')].filter(l => !l.sheet?.cssRules.length)"
        assert not page.evaluate(f"{bare}.map(l => l.href)")
        assert page.inner_text("article h1") == "Page not found"
        skip = page.evaluate("document.querySelector('#pst-skip-link a').href")
        assert skip == f"{address}#main-content"
        page.click("article a >> nth=0")
        page.wait_for_url(f"**{prefix}book/index.html")
        page.close()
    finally:
        httpd.shutdown()


# ---------------------------------------------------------------- print

PRINTED = """() => {
  const wrong = [], shown = e => e.getClientRects().length > 0;
  const name = e => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 60)}`;
  const light = e => {
    const [r, g, b] = getComputedStyle(e).color.match(/[\\d.]+/g).map(Number);
    return r + g + b > 500;
  };
  if (document.documentElement.dataset.theme !== 'light') wrong.push('not in light colours');
  const aside = '.bd-sidebar, .bd-header-article, .copybtn, .prev-next-footer, .edit-link';
  for (const e of document.querySelectorAll(aside))
    if (shown(e)) wrong.push(`printed: ${name(e)}`);
  for (const e of document.querySelectorAll('article details:not([open])')) wrong.push(`closed: ${name(e)}`);
  for (const e of document.querySelectorAll('article :is(p, li, pre, td, h2)'))
    if (shown(e) && light(e)) wrong.push(`light letters: ${name(e)}`);
  for (const e of document.querySelectorAll('article :is(pre, table, img, p, mjx-container)'))
    if (shown(e) && (e.getBoundingClientRect().right > innerWidth + 1))
      wrong.push(`cut: ${name(e)}`);
  for (const e of document.querySelectorAll('article pre'))
    if (e.scrollWidth > e.clientWidth + 1 || parseFloat(getComputedStyle(e).fontSize) < 5.9)
      wrong.push(`cut or too small: ${name(e)}`);
  return wrong;
}"""


def test_print_is_light_and_whole(page, base):
    page.emulate_media(color_scheme="dark")
    wrong = []
    for name in BOOK:
        page.emulate_media(media="screen")
        open_page(page, base + name)
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.set_viewport_size(A4)
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        wrong += [f"{name}: {what}" for what in page.evaluate(PRINTED)]
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark", "the theme is not put back"
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------- lines, words, keys

# Characters in a line: the width of a paragraph over the mean width of its letters.
LONG_LINES = """limit => {
  const pen = document.createElement('canvas').getContext('2d');
  const long = [];
  for (const e of document.querySelectorAll('article :is(p, li)')) {
    const text = e.textContent.trim(), style = getComputedStyle(e);
    if (e.closest('td, th, .sig, li li') || text.length < 150) continue;
    pen.font = `${style.fontSize} ${style.fontFamily}`;
    const n = e.clientWidth / (pen.measureText(text).width / text.length);
    if (n > limit) long.push(`${n.toFixed()} characters: ${text.slice(0, 60)}`);
  }
  return long;
}"""
BROKEN_WORDS = """() => {
  const broken = [];
  for (const title of document.querySelectorAll('.prev-next-title')) {
    const text = title.firstChild;
    for (const word of text.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (range.getClientRects().length > 1 && !word[0].includes('-')) broken.push(word[0]);
    }
  }
  return broken;
}"""
FOCUS = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  return [e.tagName, `${e.tagName} ${e.className} ${e.getAttribute('aria-label')}`,
    style.outlineStyle !== 'none' && style.outlineWidth !== '0px' || style.boxShadow !== 'none'];
}"""


def test_lines_and_words(page, base):
    wrong = []
    for name in BOOK:
        page.set_viewport_size({"width": 1440, "height": 900})
        open_page(page, base + name)
        wrong += [f"{name}: {what}" for what in page.evaluate(LONG_LINES, 82)]
        for width in (1440, 768, 360):
            page.set_viewport_size({"width": width, "height": 900})
            wrong += [f"{name} at {width}: broken {word}" for word in page.evaluate(BROKEN_WORDS)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("width", [1440, 360])
def test_every_control_shows_that_it_has_the_focus(page, base, width):
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, base + "book/how_to_use.html")
    seen = {}
    for _ in range(80):
        page.keyboard.press("Tab")
        page.wait_for_timeout(20)  # the ring of the search button grows
        kind, what, ring = page.evaluate(FOCUS)
        if kind == "BODY":
            break
        seen[what] = ring
    assert len(seen) > 5
    assert all(seen.values()), [what for what, ring in seen.items() if not ring]


@pytest.mark.parametrize("width", [1440, 360])
def test_focus_returns_from_the_search(page, base, width):
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, base + "book/how_to_use.html")
    page.locator("button.search-button, button.search-button__button").locator("visible=true").first.focus()
    for start in ("Enter", "Control+k"):
        before = page.evaluate("(window.before = document.activeElement).className")
        page.keyboard.press(start)
        page.wait_for_function("document.getElementById('pst-search-dialog').open")
        page.keyboard.press("Escape")
        page.wait_for_function("!document.getElementById('pst-search-dialog').open")
        assert page.evaluate("document.activeElement === window.before"), f"{start} from {before}"
        page.locator("article a").first.focus()


def test_formulas_are_no_tab_stops_on_a_phone(page, base):
    page.set_viewport_size({"width": 360, "height": 800})
    wrong = []
    for name in sorted(LESSONS, key=lambda name: -html(name).count('class="math '))[:3]:
        open_page(page, base + name)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        for _ in range(250):
            page.keyboard.press("Tab")
            kind, what, _ = page.evaluate(FOCUS)
            if kind == "BODY":
                break
            if "MJX" in kind:
                wrong.append(f"{name}: {what}")
    assert not wrong, wrong
