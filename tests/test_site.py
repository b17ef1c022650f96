"""The built book, page by page, in a real browser: from disk (file://) and over http."""

from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from built_site import BOOK, PAGES, SITE, open_page

pytestmark = [pytest.mark.slow, pytest.mark.site]
BOTH_WAYS = True

WIDTHS = (1280, 360)

# Text that still looks like TeX, outside code. `$` alone is not enough: a price is no formula.
RAW_TEX = (
    r"/\\(frac|sum|left|right|mathrm|mathbb|text|hat|log|lvert)\b|\\\(|\\\[|\$[^$\n]{1,60}[\\_^][^$\n]*\$/"
)

# What is wrong with a page at its present width.
LOOK = """() => {
  const wrong = [], root = document.documentElement;
  if (root.scrollWidth > innerWidth) {
    const right = e => e.getBoundingClientRect().right;
    const scrolls = e => e && (right(e) <= innerWidth
      && getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
    const wide = [...document.querySelectorAll('article *')]
      .filter(e => right(e) > innerWidth && !scrolls(e.parentElement));
    wrong.push(`wider than the window: ${root.scrollWidth}, `
      + `${wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120))}`);
  }
  for (const i of document.images) {
    if (!i.complete || !i.naturalWidth) wrong.push(`broken picture ${i.src}`);
    if (!i.alt.trim()) wrong.push(`no alt text: ${i.src}`);
  }
  const math = document.querySelectorAll('.math:not(.output_area)');
  for (const m of math)
     if (!m.querySelector('mjx-container'))
       wrong.push(`maths not rendered: ${m.textContent}`);
  if (document.querySelector('mjx-merror, [data-mjx-error]'))
     wrong.push('error in a formula');
  const text = document.querySelector('article')?.cloneNode(true);
  text?.querySelectorAll('pre, code, mjx-container, .sig').forEach(e => e.remove());
  const tex = text?.textContent.match(raw);
  if (tex && !location.pathname.includes('/_modules/')) wrong.push(`raw TeX: ${tex[0]}`);
  if (document.querySelectorAll('article h1').length > 1) wrong.push('two titles');
  return wrong;
}""".replace("match(raw)", f"match({RAW_TEX})")
# What a page has to be found at, and where it leads.
PLACES = """() => ({
  anchors: [...document.querySelectorAll('[id],a[name]')].map(e => e.id || e.name),
  links: [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')),
  lesson: [...document.querySelectorAll('a.lesson-link')].map(a => a.href),
  provenance: document.querySelector('p.provenance')?.innerText || '',
  text: location.pathname.includes('/executed/') ? document.querySelector('article').innerText : '',
})"""


def test_every_page(page, base):
    """Each page is opened once: it is whole at every width, and its links lead to a page, a heading on it, or
    a notebook that is there. The package's pages, which are alike, are opened from disk alone.
    """
    wrong, places = [], {}
    for name in PAGES if base.startswith("file:") else BOOK:
        open_page(page, base + name)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            wrong += [f"{name} at {width}: {what}" for what in page.evaluate(LOOK)]
        places[name] = page.evaluate(PLACES)
        wrong += [f"{name}: {what}" for what in page.troubles]
        page.troubles.clear()
    for name in BOOK:
        for href in places[name]["links"]:
            if urlparse(href).scheme or href.startswith("//"):
                continue
            path, anchor = urldefrag(urljoin(base + name, href))
            path = unquote(path.removeprefix(base)) or "index.html"
            if not (SITE / path).is_file():
                wrong.append(f"{name}: {href} leads nowhere")
            elif anchor and path in places and unquote(anchor) not in places[path]["anchors"]:
                wrong.append(f"{name}: {href} names no place on that page")
    assert not wrong, "\n".join(wrong)
    lessons = [name for name in BOOK if "/executed/" in name]
    assert lessons
    for name in lessons:  # they offer Colab and the notebook, and say when they were executed
        colab, notebook, *_ = places[name]["lesson"]  # a PDF comes last, where there is one
        assert "colab.research.google.com" in colab and notebook.endswith(".ipynb")
        assert (SITE / "notebooks" / Path(notebook).name).is_file()
        assert "Executed on" in places[name]["provenance"] and "google.colab" not in places[name]["text"]


# What a page loads, in bytes, and when its first text stood there.
LOADED = """() => {
  const all = performance.getEntriesByType('resource');
  const sizes = [...performance.getEntriesByType('navigation'), ...all].map(e => e.decodedBodySize);
  return {
    bytes: sizes.reduce((a, b) => a + b, 0),
    names: all.map(e => e.name),
    first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
    formulas: document.querySelectorAll('mjx-container, .math:not(.output_area)').length,
  };
}"""


def test_weight_of_pages(browser, server, capsys):
    """Prints what each page of the book weighs. MathJax is loaded where there is a formula alone."""
    lines, wrong, page = [], [], browser.new_page()
    for name in BOOK:
        open_page(page, server + name)
        of_page = page.evaluate(LOADED)
        has_mathjax = any("mathjax" in loaded for loaded in of_page["names"])
        if has_mathjax != bool(of_page["formulas"]):
            wrong.append(f"{name}: {of_page['formulas']} formulas, MathJax loaded: {has_mathjax}")
        fonts = [loaded for loaded in of_page["names"] if loaded.endswith((".woff2", ".woff", ".ttf"))]
        limit = 1.9e6 + 2.3e6 * has_mathjax
        if of_page["bytes"] > limit:
            wrong.append(f"{name}: {of_page['bytes'] / 1e6:.1f} MB")
        first = f"{of_page['first']:5.0f} ms" if of_page["first"] else ""
        lines.append(f"{of_page['bytes'] / 1e3:6.0f} kB {len(fonts)} fonts {first} {name}")
    page.close()
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert not wrong, "\n".join(wrong)


def test_front_page_leads_to_the_book(page, base):
    page.goto(base + "index.html")
    page.wait_for_url("**/book/index.html")
    assert page.title() and not page.troubles


def test_search_finds_reweight(page, base):
    open_page(page, base + "search.html?q=REWEIGHT")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    links = page.evaluate(
        "[...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))"
    )
    assert any("glossary" in link for link in links), links
    assert not page.troubles


def test_theme_toggles(page, base):
    open_page(page, base + BOOK[0])
    themes, grounds = set(), set()
    for _ in range(3):
        themes.add(page.evaluate("document.documentElement.dataset.theme"))
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.locator("button.theme-switch-button:visible").first.click()
    assert themes == {"light", "dark"} and len(grounds) == 2
    assert not page.troubles
