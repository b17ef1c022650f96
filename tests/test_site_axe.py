"""The pages of the book against the rules of axe, on a desktop and on a phone, in light and in dark.

Of the package's pages and their sources there are many, alike and long: each is checked in one of four ways.
"""

from importlib.resources import files

import pytest
from built_site import MARKS, PAGES, SITE, open_page

pytestmark = MARKS
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
COLOURS = ["color-contrast", "link-in-text-block"]  # the rules that a theme can break
ALIKE = [name for name in PAGES if name.startswith(("_modules/", "book/api/"))]
BOOK = [name for name in PAGES if name not in ALIKE]
# The rules of colours are slow on a page of code. Words of the same letters on the same ground get the same
# answer, so one of each kind is asked for, unless `every`.
RUN = """async ([theme, colours, rest, every]) => {
  document.documentElement.dataset.theme = theme;
  const grounds = new Map([[null, '']]);
  const ground = e => {
    if (!grounds.has(e)) grounds.set(e, ground(e.parentElement) + getComputedStyle(e).backgroundColor);
    return grounds.get(e);
  };
  const kind = e => {
    const {color, fontSize, fontWeight, opacity, textDecorationLine} = getComputedStyle(e);
    return [color, fontSize, fontWeight, opacity, textDecorationLine, e.closest('a') !== null,
      getComputedStyle(e.parentElement).color, ground(e)].join();
  };
  const kinds = new Map();
  for (const e of document.body.querySelectorAll('*'))
    if (e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim()))
      kinds.set(every ? e : kind(e), e);
  const runs = [[{include: [...kinds.values()]}, {runOnly: colours}]];
  if (rest) runs.push([document, {rules: Object.fromEntries(colours.map(id => [id, {enabled: false}]))}]);
  const wrong = [];
  for (const [where, rules] of runs)
    for (const v of (await axe.run(where, {resultTypes: ['violations'], ...rules})).violations)
      wrong.push(`${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 150)}`);
  return wrong;
}"""


def open_with_axe(page, name, width):
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, SITE.as_uri() + "/" + name)
    # A colour between two themes is neither's.
    page.add_style_tag(content="* { transition: none !important; }")
    page.evaluate(AXE)


@pytest.mark.parametrize("name", BOOK)
def test_axe_finds_nothing(page, name):
    """By all rules on a desktop in light and a phone in dark, by those of colours on a desktop in dark."""
    wrong = []
    for width, themes in ((1440, ("light", "dark")), (360, ("dark",))):
        open_with_axe(page, name, width)
        for theme in themes:
            found = page.evaluate(RUN, [theme, COLOURS, theme == themes[0], False])
            wrong += [f"{width} px, {theme}: {what}" for what in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("way", range(4))
def test_axe_finds_nothing_in_the_api(page, way):
    width, theme = (1440, 360)[way // 2], ("light", "dark")[way % 2]
    wrong = []
    for name in ALIKE[way::4]:
        open_with_axe(page, name, width)
        wrong += [f"{name}: {what}" for what in page.evaluate(RUN, [theme, COLOURS, True, False])]
    assert ALIKE and not wrong, f"{width} px, {theme}\n" + "\n".join(wrong)


def test_one_of_each_kind_shows_what_all_show(page):
    """A colour that only dark shows, on one paragraph and on one word of code."""
    open_with_axe(page, "book/how_to_use.html", 1440)
    words = "[...document.querySelectorAll('{}')].filter(e => e.textContent.trim().length > 2)"
    words += "[3].style.color = '{}'"
    for where in ("article p", "article pre span"):
        page.evaluate(words.format(where, "#333"))
        for every in (False, True):
            assert not page.evaluate(RUN, ["light", COLOURS, False, every]), where
            assert "color-contrast" in " ".join(page.evaluate(RUN, ["dark", COLOURS, False, every])), where
        page.evaluate(words.format(where, ""))
