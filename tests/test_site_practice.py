"""Boxes to predict, questions, hints and terms, used from the keyboard; the same without JavaScript."""

import re

import pytest
from built_site import MARKS, PAGES, open_page

import gru_lite as gru

pytestmark = MARKS
LESSON = "book/executed/00_start_here.html"
FIGURE = "book/executed/01_what_unlearning_means.html"
LONG = "book/executed/08_a_fair_table.html"
SEEDS = "book/executed/03_exact_unlearning_by_reweighting.html"


def test_a_prediction_is_uncovered_from_the_keyboard(page, base):
    open_page(page, base + LESSON)
    boxes, buttons = page.locator(".predict").count(), page.locator("button.uncover")
    assert boxes >= 3 and buttons.count() == boxes
    covered = page.locator(".covered")
    before = covered.count()
    assert before > boxes and not any(part.is_visible() for part in covered.all())
    output = page.locator("button.uncover + .cell_output.covered").first.element_handle()
    text = page.locator(".cell:has(.cell_output.covered) + p.covered").first.element_handle()
    buttons.first.focus()
    page.keyboard.press("Enter")
    assert covered.count() < before and buttons.count() == boxes - 1
    assert output.is_visible() and text.is_visible()
    assert page.evaluate("output => document.activeElement === output", output)  # nobody is lost
    assert not page.troubles


def test_a_question_marks_itself(page, base):
    open_page(page, base + LESSON)
    quiz = page.locator(".quiz").first
    wrong, right = (quiz.locator(f"details.{kind}") for kind in ("wrong", "right"))
    assert right.count() == 1 and not right.locator("p").first.is_visible()
    wrong.first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert wrong.first.locator("p").first.inner_text().startswith("Not quite.")
    right.locator("summary").focus()
    page.keyboard.press("Space")
    assert right.locator("p").first.inner_text().startswith("Right.")
    tally = page.get_by_role("status").filter(has_text="questions answered")
    n = page.locator(".quiz").count()
    assert tally.inner_text() == f"1 of {n} questions answered, 0 right at the first choice."


def test_hints_and_solutions_are_collapsed(page, base):
    open_page(page, base + LESSON)
    for kind in ("hint", "solution"):
        parts = page.locator(f"details.{kind}")
        assert parts.count() == page.locator(".admonition.exercise, .exercise.admonition").count() > 0
        assert not parts.first.evaluate("part => part.open")
        parts.first.locator("summary").focus()
        page.keyboard.press("Enter")
        assert parts.first.evaluate("part => part.open")
    assert page.locator("details.solution .cell_output").first.is_visible()


def test_a_term_explains_itself(page, base):
    open_page(page, base + LESSON)
    term = page.locator("a.term").first
    note = page.locator(f"#{term.get_attribute('aria-describedby')}")
    assert not note.is_visible() and "glossary.html#term-" in term.get_attribute("href")
    term.focus()
    assert note.is_visible() and note.inner_text().endswith(".")
    page.keyboard.press("Escape")
    assert not note.is_visible()
    names = page.evaluate("[...document.querySelectorAll('a.term')].map(a => a.getAttribute('href'))")
    assert len(names) == len(set(names)) > 3  # at its first use alone


@pytest.mark.parametrize("width", [360, 1440])
def test_a_note_stays_on_the_screen(page, base, width):
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, base + LESSON)
    for k in range(page.locator("a.term").count()):
        term = page.locator("a.term").nth(k)
        term.focus()
        box = page.locator(f"#{term.get_attribute('aria-describedby')}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, (k, box)


def test_claims_and_the_code_of_figures_are_folded(page, base):
    open_page(page, base + LESSON)
    for kind in ("claim", "code"):
        parts = page.locator(f"details.folded.{kind}")
        assert parts.count() >= 2 and not any(part.evaluate("part => part.open") for part in parts.all())
        source = parts.first.locator(".cell_input")
        assert source.count() == 1 and not source.is_visible()
        parts.first.locator("summary").focus()
        page.keyboard.press("Enter")
        assert source.is_visible()
    claim = page.locator("details.claim").first
    held = claim.locator(".cell_output").inner_text().count("holds: ")
    count = int(re.search(r"\d+", claim.locator("summary").inner_text()).group())
    assert count >= held > 0 and "check_claim" in claim.locator(".cell_input").inner_text()


def test_a_figure_is_enlarged_on_a_phone(page, base):
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, base + FIGURE)
    narrow = page.locator(".figure-svg svg:visible").first.bounding_box()
    page.locator("button.enlarge").first.focus()
    page.keyboard.press("Enter")
    shown = page.locator("dialog.enlarged")
    assert shown.locator("svg").bounding_box()["width"] > 1.5 * narrow["width"]
    page.keyboard.press("Escape")
    assert shown.count() == 0
    assert page.evaluate("document.activeElement.className") == "enlarge"
    page.locator(".figure-svg:visible").first.click()
    shown.locator("button").click()
    assert shown.count() == 0
    page.set_viewport_size({"width": 1440, "height": 900})
    assert not page.locator("button.enlarge").first.is_visible()
    assert not page.troubles


def test_a_wide_table_folds_on_a_phone(page, base):
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, base + FIGURE)
    page.evaluate("document.querySelectorAll('button.uncover').forEach(button => button.click())")
    table = page.locator(".numbers.folds").first
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")
    first = table.locator("tbody td").first
    assert first.evaluate("cell => getComputedStyle(cell, '::before').content") == '"' + (
        table.locator("thead th").first.text_content() + '"'
    )
    page.set_viewport_size({"width": 1440, "height": 900})
    assert first.evaluate("cell => getComputedStyle(cell, '::before').content") == "none"


def test_a_long_table_begins_short_on_a_phone(page, base):
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, base + LONG)
    page.evaluate("document.querySelectorAll('button.uncover').forEach(button => button.click())")
    table, button = page.locator(".numbers.long").first, page.locator("button.all-rows").first
    rows = table.locator("tbody tr").element_handles()
    seen = [row.is_visible() for row in rows]
    assert len(rows) >= 10 and all(seen[:5]) and 5 < sum(seen) < len(rows)
    assert all(row.is_visible() for row in table.locator("tr.no-op, tr.ceiling").all())
    page.emulate_media(media="print")
    assert all(row.is_visible() for row in rows) and not button.is_visible()
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 740})
    assert all(row.is_visible() for row in rows) and not button.is_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    assert button.inner_text() == f"All {len(rows)} rows"
    button.focus()
    page.keyboard.press("Enter")
    assert all(row.is_visible() for row in rows)
    first_hidden = rows[seen.index(False)]
    assert page.evaluate("row => document.activeElement === row", first_hidden)  # nobody is lost
    assert button.inner_text() == "Fewer rows" and button.get_attribute("aria-expanded") == "true"
    button.click()
    assert [row.is_visible() for row in rows] == seen and button.inner_text() == f"All {len(rows)} rows"
    assert not page.troubles


@pytest.mark.parametrize("lesson", [name for name in PAGES if name.startswith("book/executed/")])
def test_every_table_fits_the_page(page, base, lesson):
    open_page(page, base + lesson)
    page.evaluate("document.querySelectorAll('button.uncover').forEach(button => button.click())")
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    page.evaluate("document.querySelectorAll('button.all-rows').forEach(button => button.click())")
    wide = "all => all.filter(t => t.scrollWidth > t.clientWidth + 1).map(t => t.innerText.slice(0, 60))"
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.locator(".numbers").evaluate_all(wide) == [], width


@pytest.mark.parametrize("has_scripts", [True, False])
def test_the_figure_of_the_seeds_answers_to_the_keyboard(browser, base, has_scripts):
    context = browser.new_context(java_script_enabled=has_scripts)
    page = context.new_page()
    page.goto(base + SEEDS)
    figure = page.locator(".explore")
    shown = figure.locator(".said .state:visible")
    curves = figure.locator("svg g.state:visible")
    assert shown.count() == curves.count() == 1
    table, _ = gru.read_record("waterdigits_requests")
    models = {"none": "retrain", "replacement": "retrain + REWEIGHT", "top_up": "retrain + top-up"}
    figure.locator("[name=explore-sampling]").first.focus()
    seen = set()
    for sampling, name in models.items():
        values = gru.select(table, "retrain", 0.5, sampling)["GA"]
        change = values - gru.select(table, "original", 0.5)["GA"]
        mean, half = gru.mean_interval(change)
        text = shown.inner_text()
        assert shown.count() == curves.count() == 1 and text.startswith(f"{name}, 50%"), text
        assert f"{values.mean():.1f}% of its test images" in text
        assert f"{abs(mean):.1f} points less than doing nothing" in text
        first = shown.locator("li").first.inner_text()
        assert ("can't tell" in first) == (abs(mean) <= half)
        seen.add(curves.get_attribute("class"))
        page.keyboard.press("ArrowRight")
    assert len(seen) == 3 and shown.inner_text().startswith("retrain, 50%")  # round
    figure.locator("[name=explore-seeds]:checked").focus()
    page.keyboard.press("ArrowLeft")
    assert "5 seeds" in shown.inner_text() and shown.count() == curves.count() == 1
    context.close()


def test_nothing_is_covered_without_javascript(browser, base):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(base + LESSON)
    first = page.locator(".predict + .cell .cell_output").first
    assert first.is_visible()
    page.locator(".quiz details.right summary").first.click()
    assert page.locator(".quiz details.right p").first.is_visible()
    context.close()


def test_nothing_is_covered_in_print(page, base):
    open_page(page, base + LESSON)
    page.emulate_media(media="print")
    assert all(part.is_visible() for part in page.locator(".covered").all())
    assert not page.locator("button.uncover").first.is_visible()
    assert page.locator(".quiz details.wrong p").first.is_visible()
    assert page.locator("details.claim .cell_input").first.is_visible()
