"""What several seeds allow one to say: intervals, paired tests, Holm's correction, power, and claims that are
checked.

A table that ranks methods also needs the original model unchanged (*no-op*), and a second reference trained
with other randomness (*ceiling*): `calibrated_gap` reads a distance on the scale between the two.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq

from ..seeding import stream


def mean_interval(values: Sequence, level: float = 0.95) -> tuple[float, float]:
    """Return (mean, half width of the Student interval) of (n,) values; the half width is NaN if n is 1."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))


def paired_test(first: Sequence, second: Sequence) -> tuple[float, float, float]:
    """Return (mean of first - second, half width of its 95% Student interval, p) of values paired by seed.

    p is of the two-sided paired t-test; NaN for a single pair. For several questions take `paired_tests`.
    """
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    mean, half = mean_interval(difference)
    if np.isnan(half):
        return mean, half, float("nan")
    if np.ptp(difference) == 0:
        return mean, 0.0, 1.0 if mean == 0 else 0.0
    return mean, half, float(stats.ttest_1samp(difference, 0).pvalue)


MARGIN = 1.0  # points of Avg. Gap: a method that is nearer than this to the ceiling counts as equivalent


def equivalence_test(
    first: Sequence, second: Sequence, margin: float = MARGIN
) -> tuple[float, float, float, float]:
    """Test whether two rows are equivalent, by two one-sided paired t-tests (Schuirmann, 1987).

    A difference that is not significant is no equivalence: with few seeds hardly anything is significant.

    Args:
        first: (n,) values.
        second: (n,) values of the same seeds.
        margin: > 0, fixed before the values were seen: a true mean difference below it would not matter.

    Returns:
        (mean of first - second, half width of its 90% Student interval, p_inside, p_outside). p_inside is
        small where the true difference is shown to lie within the margin: for one test at level .05 exactly
        when the 90% interval does. p_outside is small where it is shown to lie beyond. Where both are large,
        these seeds cannot decide. NaN for a single pair. Correct each with `holm` when there are several.
    """
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    mean, half = mean_interval(difference, level=0.90)
    if np.isnan(half):
        return mean, half, float("nan"), float("nan")
    error = stats.sem(difference)
    if error == 0:
        inside = float(abs(mean) >= margin)
        return mean, 0.0, inside, 1 - inside
    law = stats.t(len(difference) - 1)
    p_inside = float(law.sf((margin - abs(mean)) / error))
    # Beyond on the one side or on the other: two one-sided tests again, so twice the smaller p.
    p_outside = float(min(1.0, 2 * law.sf((abs(mean) - margin) / error)))
    return mean, half, p_inside, p_outside


def holm(p_values: Sequence) -> np.ndarray:
    """Return Holm's step-down corrected p-values, in the order given."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    corrected = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty(len(p))
    out[order] = np.minimum(corrected, 1)
    return out


def smallest_difference(differences: Sequence, power: float = 0.8, level: float = 0.05) -> float:
    """Return the smallest true mean difference that these pairs could have shown; NaN for fewer than two.

    A two-sided paired t-test at `level`, of as many pairs with this standard deviation, finds a difference of
    this size with probability `power` (exactly: the statistic has a noncentral t distribution). Where a table
    shows no difference, a larger one is unlikely to have been missed; about smaller ones it says nothing.

    Args:
        differences: (n,) paired differences.
        power: probability to find it.
        level: of the test. For the first step of Holm's correction over m rivals: 0.05 / m.
    """
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2:
        return float("nan")
    critical = stats.t.ppf(1 - level / 2, n - 1)

    def missing_power(shift):
        # scipy gives NaN where it is almost 0
        wrong_side = np.nan_to_num(stats.nct.cdf(-critical, n - 1, shift))
        return stats.nct.sf(critical, n - 1, shift) + wrong_side - power

    upper = 1.0
    while missing_power(upper) < 0:
        upper *= 2
    return float(brentq(missing_power, 0, upper) * differences.std(ddof=1) / np.sqrt(n))


def paired_tests(differences: Mapping[object, Sequence]) -> pd.DataFrame:
    """Test a family of paired differences, each against zero, with Holm's correction over the family.

    Args:
        differences: question -> (n,) differences of values paired by seed; each has its own n of two or more.

    Returns:
        DataFrame: a row a question: mean and half (of its 95% interval); p of the paired t-test; p_holm
            (corrected over all rows); smallest (the difference that so many pairs would have found with 80%
            power) and smallest_holm (the same at the first Holm step); verdict: "shown" where p_holm is below
            .05, else "undecided".
    """
    tests = pd.DataFrame([paired_test(d, 0) for d in differences.values()], columns=["mean", "half", "p"])
    tests.index = pd.Index(differences)
    tests["p_holm"] = holm(tests["p"])
    for name, level in (("smallest", 0.05), ("smallest_holm", 0.05 / max(len(tests), 1))):
        tests[name] = [smallest_difference(d, level=level) for d in differences.values()]
    tests["verdict"] = np.where(tests["p_holm"] < 0.05, "shown", "undecided")
    return tests


def calibrated_gap(
    gap: Sequence, no_op: Sequence, ceiling: Sequence, n_bootstrap: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return (value, low, high): 0 is as far from the reference as doing nothing, 100 as near as a second
    reference.

    100 * (gap - no-op) / (ceiling - no-op) on seed means, with a 95% bootstrap interval over seeds, paired.

    Args:
        gap: (n,) Avg. Gap of the method.
        no_op: (n,) that of the original model, of the same seeds.
        ceiling: (n,) that of the ceiling.
        n_bootstrap: draws.
        seed: of the draws.

    Returns:
        Three NaN ("n/a") when there are fewer than two seeds, or when the 95% Student interval of ceiling -
        no-op contains 0: then the benchmark cannot tell doing nothing from perfection.
    """
    gap, no_op, ceiling = (np.asarray(a, dtype=float) for a in (gap, no_op, ceiling))
    room, half = mean_interval(ceiling - no_op)
    if not abs(room) > half:
        return (float("nan"),) * 3
    rows = stream(seed, "bootstrap").integers(0, len(gap), (n_bootstrap, len(gap)))
    draws = 100 * (gap - no_op)[rows].mean(axis=1) / (ceiling - no_op)[rows].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return 100 * float((gap - no_op).mean()) / room, float(low), float(high)


def check_claim(statement: str, values: Sequence, least: float = 2.0) -> None:
    """Assert what a lesson says: that (n,) paired differences are positive.

    Their mean must be at least `least` standard errors, and its 95% interval must exclude 0. A single value
    asserts the direction alone. A run that disagrees stops the lesson, so that its prose has to change; on
    Colab, whose hardware and seeds are the reader's, it warns instead. Prints the statement with the mean
    that was measured and its 95% interval.

    Args:
        statement: what is claimed.
        values: (n,) differences, one a seed.
        least: standard errors.
    """
    mean, half = mean_interval(values)
    line = f"{statement}: {mean:+.1f}"
    if len(values) > 1:
        line += f" [{mean - half:+.1f}, {mean + half:+.1f}], {len(values)} seeds"
    if mean > 0 and (len(values) == 1 or mean > half and mean >= least * stats.sem(values)):
        print("holds:", line)
    elif "google.colab" in sys.modules:
        warnings.warn(f"does not hold here: {line}", stacklevel=2)
    else:
        raise AssertionError(f"does not hold: {line}")
