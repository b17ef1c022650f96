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
RUN = """async ([theme, rules]) => {
  document.documentElement.dataset.theme = theme;
  const only = rules.length ? {runOnly: rules} : {};
  const found = await axe.run(document, {resultTypes: ["violations"], ...only});
  return found.violations.map(v => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 150)}`);
}"""


def violations(page, name, width, themes):
    """What axe finds on one page: by all rules in the first theme, by those of colours in the next."""
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, SITE.as_uri() + "/" + name)
    # A colour between two themes is neither's.
    page.add_style_tag(content="* { transition: none !important; }")
    page.evaluate(AXE)
    found = []
    for theme, rules in zip(themes, ([], COLOURS), strict=False):
        found += [f"{name}, {width} px, {theme}: {what}" for what in page.evaluate(RUN, [theme, rules])]
    return found


@pytest.mark.parametrize("name", BOOK)
@pytest.mark.parametrize("width, themes", [(1440, ("light", "dark")), (360, ("dark", "light"))])
def test_axe_finds_nothing(page, name, width, themes):
    wrong = violations(page, name, width, themes)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("way", range(4))
def test_axe_finds_nothing_in_the_api(page, way):
    width, theme = (1440, 360)[way // 2], ("light", "dark")[way % 2]
    wrong = [what for name in ALIKE[way::4] for what in violations(page, name, width, (theme,))]
    assert ALIKE and not wrong, "\n".join(wrong)


def test_axe_sees_a_colour_that_only_dark_shows(page):
    open_page(page, SITE.as_uri() + "/" + BOOK[0])
    page.evaluate(AXE)
    page.evaluate("document.querySelector('article p').style.color = '#333'")
    assert not page.evaluate(RUN, ["light", COLOURS])
    assert "color-contrast" in " ".join(page.evaluate(RUN, ["dark", COLOURS]))
