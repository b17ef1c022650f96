"""Scores, all in percent, as pure functions of one prediction pass (paper, section 5).

A table that ranks methods also needs the original model unchanged (*no-op*), a second reference trained with other
randomness (*ceiling*), several seeds, and intervals: the second half of this file.
"""

import sys
import warnings
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp

from .attacks import balanced_attack, paper_attack
from .errors import DivergedError, InputError, check_choice
from .groups import group_ids
from .seeding import stream
from .train import predict

GAP_METRICS = ("RA", "UA", "TA", "MIA", "EO", "GA")


@dataclass(frozen=True, eq=False)
class Scores:
    """What one model scores after one request; percent.

    Attributes:
        RA, UA, TA: accuracy on the retain, forget and test set.
        MIA: share of F that the paper's attacker calls non-member.
        EO: equalized odds difference on test, mean over targets and pairs of attributes; lower is fairer.
        GA: test accuracy over the forgotten groups.
        EO_worst: the largest of the differences that EO averages.
        EO_paper: EO after the groups are collapsed to 2 x 2, forgotten or not (see `equalized_odds`).
        worst_group: lowest accuracy of a group on test.
        MIA_auc, MIA_auc_low, MIA_auc_high: the balanced attack with its 95% interval; 50 is guessing.
        group_accuracy: (Y, S) test accuracy of each group; NaN where test has no sample of it.
    """

    RA: float
    UA: float
    TA: float
    MIA: float
    EO: float
    GA: float
    EO_worst: float
    EO_paper: float
    worst_group: float
    MIA_auc: float
    MIA_auc_low: float
    MIA_auc_high: float
    group_accuracy: np.ndarray

    def flat(self):
        """A dict of plain numbers, with the group accuracies as acc_y_s."""
        numbers = asdict(self)
        table = numbers.pop("group_accuracy")
        return numbers | {f"acc_{y}_{s}": float(value) for (y, s), value in np.ndenumerate(table)}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of one model on a benchmark: float32 (N, Y) for each part."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def predictions(model, bench, threads=1):
    """Run the one prediction pass, on so many CPU threads: every sample of train, validation and test once."""
    return Predictions(*(predict(model, part, threads=threads) for part in (bench.train, bench.val, bench.test)))


def score(model, bench, split, seed=0):
    """Return the Scores of `model` (a Classifier, or its Predictions) after the request `split`.

    Args:
        bench: the Benchmark; split: the ForgetSplit of its train set; seed: of the attacks.

    Raises:
        DivergedError: outputs that are not finite; InputError: a split of other data.
    """
    if not np.array_equal(split.group, bench.train.group):
        raise InputError(f"the split is of other data: {len(split.train)} samples, and train has {len(bench.train)}")
    logits = model if isinstance(model, Predictions) else predictions(model, bench)
    correct, loss = {}, {}
    for part in ("train", "val", "test"):
        target, values = getattr(bench, part).target, getattr(logits, part)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values).all(axis=1)))
            raise DivergedError(f"the model's outputs are not finite (first on {part} sample {row}): it has diverged")
        correct[part] = values.argmax(axis=1) == target
        loss[part] = logsumexp(values.astype(np.float64), axis=1) - values[np.arange(len(target)), target]
    forgotten = [y * bench.train.n_sensitive + s for y, s in split.groups]
    of_forgotten = np.isin(bench.test.group, forgotten)
    if not of_forgotten.any():
        raise InputError(f"test has no sample of the forgotten groups {list(split.groups)}: GA is undefined")
    test = (correct["test"], bench.test.target, bench.test.sensitive)
    table = accuracy_table(*test, bench.train.n_targets, bench.train.n_sensitive)
    auc, low, high = balanced_attack(
        loss["train"][split.forget], loss["val"], split.group[split.forget], bench.val.group,
        bench.train.source[split.forget], bench.val.source, seed=seed,
    )
    return Scores(
        RA=percent(correct["train"][split.retain]),
        UA=percent(correct["train"][split.forget]),
        TA=percent(correct["test"]),
        MIA=paper_attack(loss["train"][split.retain], loss["val"], loss["train"][split.forget], seed),
        EO=equalized_odds(*test),
        GA=percent(correct["test"][of_forgotten]),
        EO_worst=equalized_odds(*test, aggregate="worst"),
        EO_paper=equalized_odds(*test, variant="paper", groups=split.groups),
        worst_group=float(np.nanmin(table)),
        MIA_auc=auc, MIA_auc_low=low, MIA_auc_high=high,
        group_accuracy=table,
    )


def percent(correct):
    """100 times the mean of a boolean array."""
    return 100 * float(np.mean(correct))


def accuracy_table(correct, target, sensitive, n_targets=None, n_sensitive=None):
    """Return the (Y, S) accuracy of each group in percent; NaN for a group without samples."""
    n_targets = n_targets or int(np.max(target)) + 1
    n_sensitive = n_sensitive or int(np.max(sensitive)) + 1
    group = group_ids(target, sensitive, n_sensitive)
    count = np.bincount(group, minlength=n_targets * n_sensitive)
    right = np.bincount(group, weights=np.asarray(correct, dtype=float), minlength=n_targets * n_sensitive)
    table = np.divide(100 * right, count, out=np.full(len(count), np.nan), where=count > 0)
    return table.reshape(n_targets, n_sensitive)


def equalized_odds(correct, target, sensitive, aggregate="mean", variant="full", groups=None):
    """Return the equalized odds difference in percent: abs(acc(y, s) - acc(y, s')), 0 is fair.

    Args:
        correct, target, sensitive: (N,) whether a prediction is right, y and s.
        aggregate: "mean" over targets and pairs of attributes, or the "worst" of them. For two targets and two
            attributes these are fairlearn's agg="mean" and agg="worst_case".
        variant: "full", or "paper": groups collapsed to 2 x 2, y among the forgotten targets or not, s among the
            forgotten attributes or not, as in the paper's FairFace and MultiNLI numbers.
        groups: with "paper", the forgotten (target, sensitive) pairs.

    Returns:
        percent; NaN when no target has two attributes to compare.
    """
    check_choice(aggregate, ("mean", "worst"), "aggregate")
    check_choice(variant, ("full", "paper"), "variant")
    correct, target, sensitive = (np.asarray(a) for a in (correct, target, sensitive))
    if not len(correct) == len(target) == len(sensitive) or len(correct) == 0:
        raise InputError(f"correct, target and sensitive have {len(correct)}, {len(target)}, {len(sensitive)} entries: "
                         "give one of each for every sample")
    if variant == "paper":
        if groups is None:
            raise InputError("variant='paper' needs groups: the forgotten (target, sensitive) pairs")
        target, sensitive = (np.isin(a, [pair[i] for pair in groups]).astype(int) for i, a in enumerate((target, sensitive)))
    table = accuracy_table(correct, target, sensitive)
    first, second = np.triu_indices(table.shape[1], k=1)
    differences = np.abs(table[:, first] - table[:, second])
    if np.isnan(differences).all():
        return float("nan")
    return float(np.nanmean(differences) if aggregate == "mean" else np.nanmax(differences))


def average_gap(scores, reference):
    """Return 100 - mean over {RA, UA, TA, MIA, EO, GA} of abs(score - reference); 100 is identical (paper, section 5)."""
    return 100 - float(np.mean([abs(getattr(scores, name) - getattr(reference, name)) for name in GAP_METRICS]))


def mean_reference(references):
    """Return what `average_gap` needs of several references: the mean of each of their six scores.

    One reference is a noisy yardstick; the mean of N varies sqrt(N) times less.
    """
    return SimpleNamespace(**{name: float(np.mean([getattr(r, name) for r in references])) for name in GAP_METRICS})


def tug_of_war(scores, reference):
    """Return ToW, 100 * product over {RA, UA, TA} of (1 - abs(score - reference) / 100); 100 is identical."""
    return 100 * float(np.prod([1 - abs(getattr(scores, m) - getattr(reference, m)) / 100 for m in ("RA", "UA", "TA")]))


# What several seeds allow one to say.


def mean_interval(values, level=0.95):
    """Return (mean, half width of the Student interval) of (n,) values; the half width is NaN for a single one."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))


def paired_test(first, second):
    """Return (mean difference, half width of its 95% Student interval, p) of values paired by seed.

    p is of the two-sided paired t-test; NaN for a single pair. Correct it with `holm` when there are several rivals.
    """
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    mean, half = mean_interval(difference)
    if np.isnan(half):
        return mean, half, float("nan")
    if np.ptp(difference) == 0:
        return mean, 0.0, 1.0 if mean == 0 else 0.0
    return mean, half, float(stats.ttest_1samp(difference, 0).pvalue)


def holm(p_values):
    """Return Holm's step-down corrected p-values, in the order given."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    corrected = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty(len(p))
    out[order] = np.minimum(corrected, 1)
    return out


def smallest_difference(differences, power=0.8, level=0.05):
    """Return the smallest true mean difference that these pairs could have shown; NaN for fewer than two.

    A two-sided paired t-test at `level`, of as many pairs with this standard deviation, finds a difference of this size
    with probability `power` (exactly: the statistic has a noncentral t distribution). Where a table shows no
    difference, a larger one is unlikely to have been missed; about smaller ones it says nothing.

    Args:
        differences: (n,) paired differences. For the first step of Holm's correction over m rivals: level = 0.05 / m.
    """
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2:
        return float("nan")
    critical = stats.t.ppf(1 - level / 2, n - 1)

    def missing_power(shift):
        wrong_side = np.nan_to_num(stats.nct.cdf(-critical, n - 1, shift))  # scipy gives NaN where it is almost 0
        return stats.nct.sf(critical, n - 1, shift) + wrong_side - power

    upper = 1.0
    while missing_power(upper) < 0:
        upper *= 2
    return float(brentq(missing_power, 0, upper) * differences.std(ddof=1) / np.sqrt(n))


def calibrated_gap(gap, no_op, ceiling, n_bootstrap=2000, seed=0):
    """Return (value, low, high): 0 is as far from the reference as doing nothing, 100 as near as a second reference.

    100 * (gap - no-op) / (ceiling - no-op) on seed means, with a 95% bootstrap interval over seeds, paired.

    Args:
        gap, no_op, ceiling: (n,) Avg. Gap of the method, the original model and the ceiling, of the same seeds.

    Returns:
        Three NaN ("n/a") when there are fewer than two seeds, or when the 95% Student interval of ceiling - no-op
        contains 0: then the benchmark cannot tell doing nothing from perfection.
    """
    gap, no_op, ceiling = (np.asarray(a, dtype=float) for a in (gap, no_op, ceiling))
    room, half = mean_interval(ceiling - no_op)
    if not abs(room) > half:
        return (float("nan"),) * 3
    rows = stream(seed, "bootstrap").integers(0, len(gap), (n_bootstrap, len(gap)))
    draws = 100 * (gap - no_op)[rows].mean(axis=1) / (ceiling - no_op)[rows].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return 100 * float((gap - no_op).mean()) / room, float(low), float(high)


def check_claim(statement, values, least=2.0):
    """Assert what a lesson says: that (n,) paired differences are positive.

    Their mean must be at least `least` standard errors, and its 95% interval must exclude 0.

    A single value asserts the direction alone. A run that disagrees stops the lesson, so that its prose has to change;
    on Colab, whose hardware and seeds are the reader's, it warns instead. Prints the statement with
    the mean that was measured and its 95% interval.
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
