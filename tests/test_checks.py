"""Checks of answers: the right one passes, and each usual mistake gets the hint that names it."""

import math
import re
from pathlib import Path

import pytest

from gru_lite import InputError, checks

SPREAD = 2.5
DIFFERENCES = [-3 * math.sqrt(19 / 20), 3 * math.sqrt(19 / 20)] * 10
TRUE = {  # by hand, or as the lesson's solution finds them
    "ex-negated-logits": (7.5, {"original": 92.5}),
    "ex-other-reference": (3, {}),
    "ex-how-many-seeds": (27, {"spread": SPREAD}),  # t_26 = 2.056: 2.056 * 2.5 / sqrt(27) = 0.989
    # standard deviation 3; (1.96 + 0.84)^2 * 9 = 71 by the normal law, the t of 20 seeds is larger
    "ex-seeds-for-a-point": (79, {"differences": DIFFERENCES}),
    "ex-ess-alarm": ({"Waterbirds": False, "WaterDigits": True}, {}),
    "ex-wider-overlap": (lambda m: math.log(m) - 4 / 3 / m * math.log(2) - (1 - 2 / m) * math.log(3), {}),
}
MISTAKES = [
    ("ex-negated-logits", 92.5, "of the original itself"),
    ("ex-negated-logits", 0.075, "in percent"),
    ("ex-negated-logits", 50, "largest logit"),
    ("ex-other-reference", 0, "one seed"),
    ("ex-how-many-seeds", 25, "t of n - 1"),
    ("ex-how-many-seeds", 7, "not the whole width"),
    ("ex-how-many-seeds", 26, r"1\.01 points"),
    ("ex-how-many-seeds", 40, "so are fewer"),
    ("ex-how-many-seeds", 27.5, "whole"),
    ("ex-seeds-for-a-point", 40, "four times as many"),
    ("ex-seeds-for-a-point", 35, "every other time"),
    ("ex-seeds-for-a-point", 20, r"20 seeds would show 2\.0 points"),
    ("ex-ess-alarm", {"Waterbirds": True, "WaterDigits": True}, "Waterbirds: put one"),
    ("ex-ess-alarm", {"Waterbirds": False, "WaterDigits": False}, "WaterDigits: put one"),
    ("ex-wider-overlap", lambda m: TRUE["ex-wider-overlap"][0](m) / math.log(2), "bits"),
    ("ex-wider-overlap", lambda m: math.log(m / 3), "At the ends"),
    ("ex-wider-overlap", lambda m: math.log(m) - (1 - 1 / m) * math.log(2), "At m = 3"),
]


@pytest.mark.parametrize("exercise", checks._CHECKS)
def test_the_right_answer(exercise, capsys):
    answer, known = TRUE[exercise]
    checks.check(exercise, answer, **known)
    checks.check(exercise, ..., **known)
    said = capsys.readouterr().out.splitlines()
    assert said == ["Right.", "No answer yet: put yours in the place of the three dots."]


@pytest.mark.parametrize("exercise, answer, said", MISTAKES)
def test_a_mistake(exercise, answer, said, capsys):
    checks.check(exercise, answer, **TRUE[exercise][1])
    assert re.match(f"Not yet. .*{said}", capsys.readouterr().out)


def test_what_is_no_answer():
    with pytest.raises(InputError, match="unknown exercise 'ex-how-many': did you mean 'ex-how-many-seeds'"):
        checks.check("ex-how-many", 27)
    for exercise, answer in [
        ("ex-how-many-seeds", "many"),
        ("ex-wider-overlap", 1.5),
        ("ex-ess-alarm", {"Waterbirds": False}),
    ]:
        with pytest.raises(InputError, match=f"{exercise} wants .*can't be read as one"):
            checks.check(exercise, answer, **TRUE[exercise][1])


def test_every_check_is_that_of_an_exercise():
    """In its lesson: after the exercise, in a cell of the notebook that the page leaves out."""
    found = []
    for path in Path(__file__).parents[1].joinpath("notebooks").glob("0*.py"):
        text = path.read_text(encoding="utf-8")
        cells = re.findall(
            r'\n# %% tags=\["remove-cell"\]\nanswer = \.\.\..*\nchecks\.check\("([\w-]+)"', text
        )
        assert all(f"# :label: {label}\n" in text for label in cells)
        assert sorted(set(re.findall(r'checks\.\w+\(\s*"([\w-]+)"', text))) == sorted(cells), path
        found += cells
    assert sorted(found) == sorted(checks._CHECKS)
