"""The pages of the book against the rules of axe: on a desktop in light, on a phone in dark.

Of the package's pages and their sources there are many, alike and long: a few stand for them.
"""

from importlib.resources import files

import pytest
from built_site import MARKS, PAGES, SITE, open_page

pytestmark = MARKS
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
ALIKE = [name for name in PAGES if name.startswith(("_modules/", "book/api/"))]
CHECKED = [name for name in PAGES if name not in ALIKE] + ALIKE[:2] + ALIKE[-2:]
RUN = """async theme => {
  document.documentElement.dataset.theme = theme;
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.map(v => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 150)}`);
}"""


@pytest.fixture
def base():
    return SITE.as_uri() + "/"


@pytest.mark.parametrize("width, theme", [(1440, "light"), (360, "dark")])
def test_axe_finds_nothing(page, base, width, theme):
    page.set_viewport_size({"width": width, "height": 900})
    wrong = []
    for name in CHECKED:
        open_page(page, base + name)
        page.evaluate(AXE)
        wrong += [f"{name}: {what}" for what in page.evaluate(RUN, theme)]
    assert CHECKED and not wrong, "\n".join(wrong)
