"""The search of the built site, in a real browser: from disk (file://) and over http."""

import hashlib
import json
import re

import pytest
from built_site import BOOK, PAGES, SITE, open_page

pytestmark = [pytest.mark.slow, pytest.mark.site]
BOTH_WAYS = True

# What people type, and the passages that have to be among the results, by the end of their address.
FINDS = {
    "license": ["for_instructors.html#reuse"],
    "licence": ["for_instructors.html#reuse"],
    "confidence interval": ["glossary.html#term-confidence-interval", "statistics.mean_interval"],
    "GDPR": ["00_start_here.html", "your_own_images.html#who-asks-to-be-forgotten"],
    "right to be forgotten": ["00_start_here.html", "your_own_images.html#who-asks-to-be-forgotten"],
    "noop": ["glossary.html#term-no-op"],
    "no-op": ["glossary.html#term-no-op"],
    "mutual information": [
        "04_mutual_information.html",
        "information.html",
        "information.mutual_information",
    ],
    "MIA": ["glossary.html#term-MIA", "scores.html#module-gru_lite.scores.attacks"],
    "privacy attack": ["glossary.html#term-MIA", "scores.html#module-gru_lite.scores.attacks"],
    "REWEIGHT": ["glossary.html#term-REWEIGHT", "groups.html#gru_lite.groups.reweight"],
    "gru.reweight": ["groups.html#gru_lite.groups.reweight"],
    "effective_sample_size": ["groups.html#gru_lite.groups.effective_sample_size"],
    "rewieght": ["glossary.html#term-REWEIGHT"],  # a slip of the keyboard
    "hyperparameters": ["experiment.html#module-gru_lite.experiment.tuning"],
    "license xyzzyq": ["for_instructors.html#reuse"],  # one word is nowhere
}
# The first of its group.
FIRST = {"noop": "#term-no-op", "privacy attack": "#term-MIA", "reweighting": "#term-REWEIGHT"}


@pytest.fixture(scope="module")
def index():
    if not PAGES:
        pytest.skip("skipped: no site, run make site")
    script = (SITE / "_static/search/index.js").read_text(encoding="utf-8")
    return json.loads(script.removeprefix("globalThis.SEARCH_INDEX = ").removesuffix(";\n"))


def search(page, base, words):
    """Open the results of some words, all of them, as [(group, address, text)]."""
    open_page(page, f"{base}search.html?q={words.replace(' ', '+')}")
    for button in page.locator(".search-more").all()[::-1]:
        button.click()
    return page.evaluate(
        """[...document.querySelectorAll('#search-results li')].map(li => [
            li.closest('section').querySelector('h2').innerText.replace(/ \\(.*/, ''),
            li.querySelector('a').getAttribute('href'), li.innerHTML])"""
    )


def status(page):
    return page.locator("#search-status").inner_text()


def test_words_find_what_they_should(page, base):
    """All words from disk; over http, where the same script answers, the first few."""
    wrong, n = [], len(FINDS) if base.startswith("file:") else 3
    for words, wanted in list(FINDS.items())[:n]:
        found = search(page, base, words)
        missing = [end for end in wanted if not any(address.endswith(end) for _, address, _ in found)]
        wrong += [f"{words}: no {end} among {len(found)}" for end in missing]
        wrong += [
            f"{words}: nothing is marked in {text[:90]}" for _, _, text in found if "<mark>" not in text
        ]
        if not status(page).startswith(f"{len(found)} result"):
            wrong.append(f"{words}: {len(found)} results, but: {status(page)}")
    for words, end in FIRST.items():
        found = [address for group, address, _ in search(page, base, words) if group == "Glossary"]
        if not found[0].endswith(end):
            wrong.append(f"{words}: {found[0]} comes before {end}")
    assert not wrong, "\n".join(wrong)
    assert not page.troubles


def test_results_stand_in_groups(page, base):
    found = search(page, base, "mutual information")
    groups = list(dict.fromkeys(group for group, _, _ in found))
    assert groups == ["Lessons", "Glossary", "API", "Other pages"]
    homes = {"Lessons": "book/executed/", "Glossary": "book/glossary.html", "API": "book/api"}
    for group, address, _ in found:
        assert address.startswith(homes.get(group, "book/")), (group, address)
    assert all(heading.is_visible() for heading in page.locator("#search-results h2").all())


def test_synonyms_are_about_the_book(page, base, index):
    """Every phrase stands in one line only, and finds something as it is typed."""
    phrases = [phrase for line in index["synonyms"] for phrase in line]
    assert len(phrases) > 40 and len({phrase.lower() for phrase in phrases}) == len(phrases)
    open_page(page, base + "search.html")
    wrong = []
    for line in index["synonyms"]:
        page.locator("#search input").fill(line[-1])
        told = "words => document.getElementById('search-status').textContent.includes(words)"
        page.wait_for_function(told, arg=f"“{line[-1]}”")
        said = status(page)
        if (
            not re.match(r"\d", said)
            or "similar words" in said
            or any(word not in said for word in line[:-1])
        ):
            wrong.append(f"{line}: {said}")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_found(page, base):
    assert search(page, base, "xyzzyq") == []
    assert status(page) == "Nothing was found for “xyzzyq”."
    assert page.locator("#search-help").is_visible()
    for link in page.locator("#search-help a").all():
        assert (SITE / link.get_attribute("href")).is_file()
    # What was typed is text, not part of the page.
    open_page(page, base + "search.html?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E")
    assert page.locator("#search img").count() == 0 and "<img" in status(page)
    # No words at all: neither results nor help.
    for nothing in ("search.html", "search.html?q=", "search.html?q=%3F!"):
        open_page(page, base + nothing)
        assert page.locator("#search-results li").count() == 0
    assert not page.troubles


def test_keyboard_leads_to_a_passage(page, base):
    """Ctrl+K on a lesson, words, Enter; then Tab to the first result, Enter: the reader is at the passage."""
    lesson = next(name for name in BOOK if "/executed/" in name)
    open_page(page, base + lesson)
    page.keyboard.press("Control+k")
    page.keyboard.type("effective sample size")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=effective+sample+size*")
    page.wait_for_selector("#search-results a")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Tab")
    first = page.locator("#search-results a").first
    assert first.evaluate("link => link === document.activeElement")
    address = first.get_attribute("href")
    assert "#" in address
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{address}")
    assert page.evaluate("document.getElementById(decodeURIComponent(location.hash.slice(1))) !== null")
    assert not page.troubles


def test_more_results_by_keyboard(page, base):
    open_page(page, base + "search.html?q=reweight")
    assert page.locator("#search-results section").first.locator("li").count() == 5
    page.locator(".search-more").first.focus()
    page.keyboard.press("Enter")
    sixth = page.locator("#search-results section").first.locator("li").nth(5).locator("a")
    assert sixth.evaluate("link => link === document.activeElement")


def test_results_are_announced(page, base):
    open_page(page, base + "search.html")
    live = page.locator("#search-status")
    assert live.get_attribute("role") == "status" and live.get_attribute("aria-live") == "polite"
    assert live.inner_text() == ""
    page.keyboard.type("ceiling")  # the field has the focus
    page.wait_for_function(
        "/^\\d+ results for “ceiling”/.test(document.getElementById('search-status').textContent)"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_and_can_be_read(page, base, theme):
    """On a phone nothing sticks out; words stand out from their ground (contrast 4.5 or more)."""
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": 360, "height": 800})
    search(page, base, "mutual_information")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    contrasts = page.evaluate(
        """() => {
          const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
          const ground = e => { const c = rgb(getComputedStyle(e).backgroundColor);
            return c[3] === 0 ? ground(e.parentElement) : c; };
          const light = c => c.slice(0, 3).map(x => x / 255)
            .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
            .reduce((sum, x, i) => sum + x * [.2126, .7152, .0722][i], 0);
          return [...document.querySelectorAll('#search-status, #search-results :is(a, p, span, h2, mark)')]
            .map(e => {
            const [one, two] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
            return [e.outerHTML.slice(0, 80), (Math.max(one, two) + .05) / (Math.min(one, two) + .05)]; });
        }"""
    )
    assert len(contrasts) > 20
    assert [(what, ratio) for what, ratio in contrasts if ratio < 4.5] == []


def test_every_passage_is_there(index):
    """The index has each section and each documented name of the book, at an address that exists."""
    anchors = {name: set(re.findall(r'\bid="([^"]+)"', (SITE / name).read_text("utf-8"))) for name in BOOK}
    addresses = [entry["url"].partition("#") for entry in index["entries"]]
    lost = [page + "#" + anchor for page, _, anchor in addresses if anchor and anchor not in anchors[page]]
    assert not lost
    assert {page for page, _, _ in addresses} == set(BOOK)
    named = {anchor for page, _, anchor in addresses}
    for name in BOOK:
        text = (SITE / name).read_text("utf-8")
        documented = re.findall(r'<dt class="sig [^>]*id="([^"]+)"', text)
        documented += re.findall(r'<dt id="(term-[^"]+)"', text)
        assert set(documented) <= named, set(documented) - named
        assert len(re.findall(r"<section ", text)) == sum(
            page == name and anchor not in documented for page, _, anchor in addresses
        ), name


def test_only_the_search_page_loads_it():
    scripts = {name: "_static/search/" in (SITE / name).read_text("utf-8") for name in PAGES}
    assert [name for name, loads in scripts.items() if loads] == ["search.html"]


def test_the_library_is_as_published():
    """MiniSearch 7.2.0 as npm has it (dist/umd/index.js), with its licence."""
    folder = SITE / "_static/search"
    digest = hashlib.sha256((folder / "minisearch.js").read_bytes()).hexdigest()
    assert digest == "03c27931eb603af1d3358579e9885eafdb6a2f5fa9929557b3e77d7e99d06d03"
    assert "Luca Ongaro" in (folder / "minisearch.LICENSE").read_text("utf-8")
