"""Checks of answers to the exercises of the book: whether one is right, and a hint where it is not.

    from gru_lite import checks
    checks.check("ex-how-many-seeds", answer)

A check computes what is right, from a formula or a recorded table, and knows the usual mistakes.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from .data.registry import source
from .data.waterdigits import TRAIN_COUNTS
from .errors import InputError, check_choice
from .experiment.store import read_record
from .experiment.table import select
from .groups import effective_sample_size
from .scores.scores import GAP_METRICS
from .scores.statistics import smallest_difference

_CHECKS: dict[str, Callable] = {}  # label -> what is wrong with an answer, None: nothing


def check(exercise: str, answer, **known) -> None:
    """Print whether an answer is right, and where it is not, a hint.

    Args:
        exercise: label of the exercise, such as "ex-how-many-seeds".
        answer: as the exercise asks for it; `...` is none yet.
        known: values of the lesson that the right answer depends on; the exercise's cell has them.

    Raises:
        InputError: there is no such exercise, or the answer is of another kind than asked for.
    """
    if answer is ...:
        print("No answer yet: put yours in the place of the three dots.")
    elif said := hint(exercise, answer, **known):
        print(f"Not yet. {said}")
    else:
        print("Right.")


def hint(exercise: str, answer, **known) -> str | None:
    """Return what to think about where an answer is wrong, None where it is right; see `check`."""
    check_choice(exercise, _CHECKS, "exercise")
    try:
        return _CHECKS[exercise](answer, **known)
    except (TypeError, ValueError, KeyError) as error:
        wanted = _CHECKS[exercise].__doc__
        raise InputError(f"{exercise} wants {wanted} The answer can't be read as one: {error}") from None


def _exercise(label):
    def keep(function):
        _CHECKS[label] = function
        return function

    return keep


def _near(answer, right):
    """Whether an answer is right to about three digits."""
    return math.isclose(float(answer), right, rel_tol=2e-3, abs_tol=1e-9)


@_exercise("ex-negated-logits")
def _negated_logits(answer, original):
    """the UA of the negated logits, a number in percent; `original` is the UA of the original."""
    if _near(answer, 100 - original):
        return None
    if _near(answer, original):
        return "This is the UA of the original itself. Negate its logits before you score them."
    if _near(answer, 1 - original / 100):
        return "This is a share. UA is in percent."
    return "With two answers, which one is the largest logit after you negated both?"


@_exercise("ex-other-reference")
def _other_reference(answer):
    """in how many of the ten seeds the order of retrain and doing nothing depends on the reference."""
    record, _ = read_record("waterdigits_requests")
    rows = {m: select(record, m, 0.5)[list(GAP_METRICS)] for m in ("original", "retrain")}
    gaps = {}
    for yardstick in ("retrain", "ceiling"):
        of = select(record, yardstick, 0.5, "replacement")[list(GAP_METRICS)]
        gaps[yardstick] = {m: (row - of).abs().mean(axis=1) for m, row in rows.items()}
    first, second = (g["original"] > g["retrain"] for g in gaps.values())
    if int(answer) == (first != second).sum():
        return None
    if int(answer) == (~second).sum():
        return "These are the seeds in which doing nothing is ahead. In how many of them did it change?"
    return "Take both rows of one seed, and compare their gap to the reference, then to the ceiling."


@_exercise("ex-how-many-seeds")
def _how_many_seeds(answer, spread):
    """the number of seeds, a whole number; `spread` is the standard deviation of the differences."""

    def half(n):
        return stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n)

    n = int(answer)
    if n != answer or n < 2:
        return "A number of seeds is whole, and one seed has no interval."
    if half(n) > 1:
        if n == math.ceil((stats.norm.ppf(0.975) * spread) ** 2):
            return "1.96 is the factor of very many seeds. Use the t of n - 1."
        if n == math.ceil((stats.norm.ppf(0.975) * spread / 2) ** 2):
            return "Half the width is to be 1 point, and not the whole width."
        return f"With {n} seeds half the width is {half(n):.2f} points."
    if n > 2 and half(n - 1) <= 1:
        return "That is enough, and so are fewer."
    return None


@_exercise("ex-seeds-for-a-point")
def _seeds_for_a_point(answer, differences):
    """the number of seeds; `differences` are those of the recorded seeds."""
    n, visible = float(answer), smallest_difference(differences)
    needed = len(differences) * visible**2
    if abs(n - needed) <= 0.1 * needed:
        return None
    if abs(n - len(differences) * visible) <= 1:
        return "Half of the smallest difference takes four times as many seeds, not twice."
    if abs(n - (stats.norm.ppf(0.975) * np.std(differences, ddof=1)) ** 2) <= 1:
        return "So many make an interval of 1 point to each side, and find that difference every other time."
    return f"{n:g} seeds would show {visible * math.sqrt(len(differences) / n):.1f} points."


@_exercise("ex-ess-alarm")
def _ess_alarm(answer):
    """whether the ESS can fall below half of R, as {"Waterbirds": True or False, "WaterDigits": ...}."""
    waterbirds = source("waterbirds").counts["waterbirds"]["train"]
    for name, counts in {"Waterbirds": waterbirds, "WaterDigits": TRAIN_COUNTS}.items():
        before = np.ravel(counts)
        after = np.where(np.arange(4) == 2, 1, before)
        can = effective_sample_size(np.repeat(before / after, after)) < after.sum() / 2
        if bool(answer[name]) != can:
            return f"{name}: put one image of the group that is left into the formula."
    return None


@_exercise("ex-wider-overlap")
def _wider_overlap(answer):
    """a function of the number of groups m >= 3 that returns I(Z; G) in nats."""
    for m in (3, 4, 10, 50):
        right = math.log(m) - 4 / (3 * m) * math.log(2) - (m - 2) / m * math.log(3)
        if _near(answer(m), right / math.log(2)):
            return "This is in bits. The book counts in nats, with the natural logarithm."
        if _near(answer(m), math.log(m) - math.log(3)):
            return "At the ends fewer than three groups are possible, so the doubt is smaller there."
        if not _near(answer(m), right):
            return f"At m = {m} it isn't. What is the doubt in the cells at and beside the ends?"
    return None
