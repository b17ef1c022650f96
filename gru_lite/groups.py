"""Groups, forget requests and REWEIGHT: who asks to be forgotten, what is left, what it weighs (paper, 3, 4).

A sample is (x, y, s) with target y in {0..Y-1} and sensitive attribute s in {0..S-1}; its group is g = y * S
+ s, one of K = Y * S. A request removes a forget set F from the train set D and leaves the retain set R, the
rest of D. REWEIGHT samples R so that every draw has the group distribution of D: a retained sample i gets the
weight w_i = n_D(g_i) / n_R(g_i).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Protocol

import numpy as np

from .errors import InputError, check_choice
from .seeding import stream

MISSING_GROUP = ("error", "renormalise")
SAMPLING = ("none", "replacement", "top_up")


def group_ids(target: np.ndarray, sensitive: np.ndarray, n_sensitive: int) -> np.ndarray:
    """Return g = y * S + s, int64 (N,).

    Args:
        target: whole numbers (N,), y.
        sensitive: whole numbers (N,), s.
        n_sensitive: number of sensitive values, S.
    """
    return np.asarray(target, dtype=np.int64) * n_sensitive + np.asarray(sensitive, dtype=np.int64)


class Grouped(Protocol):
    """What a request needs to know of a train set: any `gru_lite.GroupedDataset` says it."""

    group: np.ndarray
    group_counts: np.ndarray
    group_names: tuple
    target_names: tuple
    sensitive_names: tuple
    n_sensitive: int

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class ForgetSplit:
    """A forget request, carried out: indices into the train set, sorted, int64.

    Attributes:
        train: (N,) all indices, D.
        forget: (n_F,) the forget set F.
        retain: (N - n_F,) the retain set R.
        groups: the forgotten groups as (target, sensitive) pairs.
        group: (N,) group of every train sample.
        n_train: (K,) samples of each group in D.
        n_retain: (K,) samples of each group in R.
        group_names: K names, such as "(1, 0) hole on land".
    """

    train: np.ndarray
    forget: np.ndarray
    retain: np.ndarray
    groups: tuple
    group: np.ndarray
    n_train: np.ndarray
    n_retain: np.ndarray
    group_names: tuple


def of_forgotten_groups(split: ForgetSplit, dataset: Grouped) -> np.ndarray:
    """Return (N,) booleans: whether a sample of a data set belongs to a group that `split` forgets."""
    return np.isin(dataset.group, [y * dataset.n_sensitive + s for y, s in split.groups])


def parse_ratio(ratio: float | str) -> Fraction:
    """Return `ratio` as an exact Fraction in (0, 1]; 0.29 means 29/100, whatever its binary rounding."""
    try:
        if isinstance(ratio, bool):
            raise ValueError
        exact = Fraction(str(ratio))
    except (ValueError, ZeroDivisionError):
        raise InputError(f"ratio {ratio!r} is not a number: give a share in (0, 1], such as 0.5") from None
    if not 0 < exact <= 1:
        raise InputError(
            f"ratio {ratio} is outside (0, 1]: give the share of each group to forget, such as 0.5"
        )
    return exact


def parse_group(group: str | Sequence, target_names: Sequence, sensitive_names: Sequence) -> tuple[int, int]:
    """Return one group as a pair of integers (y, s).

    Args:
        group: a pair of numbers or names, or the text "y,s" or "name,name".
        target_names: Y names.
        sensitive_names: S names.
    """
    if isinstance(group, str):
        for y, target in enumerate(target_names):  # first: a name may hold a comma
            for s, sensitive in enumerate(sensitive_names):
                if group.strip("() ") in (f"{target},{sensitive}", f"{target}, {sensitive}"):
                    return y, s
    parts = [part.strip() for part in group.strip("() ").split(",")] if isinstance(group, str) else group
    if not isinstance(parts, (list, tuple, np.ndarray)) or len(parts) != 2:
        raise InputError(f"group {group!r} is not a pair: give target,sensitive, such as 1,0")
    pair = []
    for value, names, what in zip(
        parts, (target_names, sensitive_names), ("target", "sensitive"), strict=True
    ):
        if str(value) in names:
            pair.append(list(names).index(str(value)))
            continue
        try:
            number = int(str(value))
        except ValueError:
            number = -1
        if not 0 <= number < len(names):
            known = ", ".join(f"{i} ({name})" for i, name in enumerate(names))
            raise InputError(f"group {group!r}: there is no {what} {value!r}; choose from {known}")
        pair.append(number)
    return tuple(pair)


def forget_split(
    dataset: Grouped,
    groups: Sequence | None = None,
    ratio: float | str | Sequence | None = None,
    seed: int = 0,
    indices: Sequence | None = None,
) -> ForgetSplit:
    """Draw a forget request, or take it as an explicit list.

    Args:
        dataset: the grouped train set D.
        groups: list of (target, sensitive) pairs; floor(ratio * n_g) samples are drawn, uniformly and without
            replacement, from *each* of them. With the same seed a smaller ratio draws a subset of a larger
            one.
        ratio: share in (0, 1], read as an exact decimal; or a list of such shares, one for each of `groups`
            in their order.
        seed: integer >= 0, the stream of F.
        indices: instead of groups and ratio, the samples to forget.

    Returns:
        ForgetSplit.

    Raises:
        InputError: a group that does not exist, is empty or is named twice; a ratio outside (0, 1], or
            another number of ratios than of groups; a request that comes to no sample, or that leaves none;
            indices that are no whole numbers, out of range or repeated.
    """
    group = dataset.group
    n_train = dataset.group_counts
    if indices is not None:
        if groups is not None or ratio is not None:
            raise InputError("a forget request is either indices, or groups with a ratio: not both")
        forget = _check_indices(indices, len(dataset))
        pairs = tuple(divmod(int(g), dataset.n_sensitive) for g in np.unique(group[forget]))
    else:
        if groups is None or ratio is None:
            raise InputError("a forget request needs groups and a ratio, or indices")
        pairs = _check_groups(dataset, groups)
        shares = _shares(ratio, pairs)
        chosen = []
        for (y, s), share in zip(pairs, shares):
            g = y * dataset.n_sensitive + s
            n_forget = int(share * int(n_train[g]))  # floor, exactly
            if n_forget == 0:
                raise InputError(
                    f"ratio {float(share):g} of group ({y}, {s}) ({dataset.group_names[g]}) comes to no "
                    f"sample: it has {n_train[g]}, so the smallest ratio that works is "
                    f"{_smallest_ratio(int(n_train[g]))}"
                )
            members = stream(seed, "forget", g).permutation(np.flatnonzero(group == g))
            chosen.append(members[:n_forget])
        forget = np.sort(np.concatenate(chosen))
    train = np.arange(len(dataset))
    retain = np.setdiff1d(train, forget)
    if len(retain) == 0:
        raise InputError("the request forgets every train sample: nothing is left to retain")
    n_retain = np.bincount(group[retain], minlength=len(n_train))
    names = tuple(f"{divmod(g, dataset.n_sensitive)} {name}" for g, name in enumerate(dataset.group_names))
    return ForgetSplit(train, forget, retain, pairs, group, n_train, n_retain, names)


def _shares(ratio, pairs):
    """The share of each pair, exactly: from one ratio for all, or one for each."""
    if not isinstance(ratio, (list, tuple)) and not getattr(ratio, "ndim", 0):
        return [parse_ratio(ratio)] * len(pairs)
    if len(ratio) != len(pairs):
        raise InputError(
            f"{len(ratio)} ratios for {len(pairs)} groups: give one ratio, or one for each group"
        )
    shares = []
    for pair, each in zip(pairs, ratio):
        try:
            shares.append(parse_ratio(each))
        except InputError as error:
            raise InputError(f"group {pair}: {error}") from None
    return shares


def _check_groups(dataset, groups):
    if not hasattr(groups, "__len__") or isinstance(groups, (str, bytes)) or _is_one_pair(groups):
        raise InputError(
            f"groups {groups!r} is not a list of pairs: write [(1, 0)] (on the command line --groups 1,0)"
        )
    if len(groups) == 0:
        raise InputError("groups is empty: name at least one (target, sensitive) pair")
    pairs = [parse_group(group, dataset.target_names, dataset.sensitive_names) for group in groups]
    for y, s in pairs:
        if pairs.count((y, s)) > 1:
            raise InputError(f"group ({y}, {s}) is named twice")
        g = y * dataset.n_sensitive + s
        if dataset.group_counts[g] == 0:
            raise InputError(
                f"group ({y}, {s}) ({dataset.group_names[g]}) is empty: it has no train sample to forget"
            )
    return tuple(pairs)


def _is_one_pair(groups):
    """Whether this is (1, 0) instead of [(1, 0)]."""
    scalar = all(np.isscalar(part) for part in groups)
    return len(groups) == 2 and scalar and not any(isinstance(part, str) and "," in part for part in groups)


def _check_indices(indices, n):
    try:
        indices = np.asarray(indices)
    except ValueError:  # a list of lists of different lengths
        indices = np.empty(0)
    if indices.ndim != 1 or len(indices) == 0:
        raise InputError("the list of samples to forget is empty or not one-dimensional")
    if not np.issubdtype(indices.dtype, np.integer):
        raise InputError(f"the list of samples to forget holds {indices.dtype}, not whole numbers")
    outside = indices[(indices < 0) | (indices >= n)]
    if len(outside):
        raise InputError(f"sample {outside[0]} cannot be forgotten: train samples are 0 to {n - 1}")
    values, counts = np.unique(indices, return_counts=True)
    if counts.max() > 1:
        raise InputError(f"sample {values[counts.argmax()]} is listed {counts.max()} times")
    return values.astype(np.int64)


def _smallest_ratio(n):
    """1/n as text, rounded up to the shortest decimal that is at most 1% larger."""
    digits = 0
    while True:
        units = -(-(10**digits) // n)
        if 100 * units * n <= 101 * 10**digits:
            return f"{units / 10**digits:.{digits}f}"
        digits += 1


# REWEIGHT


def _checked_counts(n_train, n_retain):
    n_train, n_retain = np.asarray(n_train), np.asarray(n_retain)
    if n_train.shape != n_retain.shape or n_train.ndim != 1:
        raise InputError(
            f"group counts of D {n_train.shape} and R {n_retain.shape} are not two lists of one length"
        )
    for name, counts in (("D", n_train), ("R", n_retain)):
        if not np.all(np.isfinite(counts)) or np.any(counts < 0) or np.any(counts != np.floor(counts)):
            raise InputError(f"group counts of {name} are not whole numbers of 0 or more: {counts.tolist()}")
    if np.any(n_retain > n_train):
        g = int(np.argmax(n_retain > n_train))
        raise InputError(f"group {g} has {n_retain[g]} retained samples but only {n_train[g]} train samples")
    if not n_retain.any():
        raise InputError("nothing is retained: there is no sample to weight")
    return n_train, n_retain


def group_weights(
    n_train: Sequence, n_retain: Sequence, missing_group: str = "error", group_names: Sequence | None = None
) -> np.ndarray:
    """Return the weight of a retained sample of each group, n_D(g) / n_R(g).

    Args:
        n_train: (K,) whole numbers, samples of each group in D.
        n_retain: (K,) those in R.
        missing_group: what to do with a group that is forgotten whole, for which no weight exists: "error",
            or "renormalise" to spread its share over the groups that remain, in proportion to their own.
        group_names: K names for error messages; None uses the numbers.

    Returns:
        (K,) float64. A group without retained samples has weight 0. The weights of all retained samples add
        up to the size of D.

    Raises:
        InputError: counts that are negative, fractional, of different shapes, or larger in R than in D; a
            group that was forgotten whole, unless missing_group is "renormalise".
    """
    check_choice(missing_group, MISSING_GROUP, "missing_group")
    n_train, n_retain = _checked_counts(n_train, n_retain)
    missing = (n_retain == 0) & (n_train > 0)
    if missing.any() and missing_group == "error":
        g = int(np.argmax(missing))
        name = g if group_names is None else group_names[g]
        raise InputError(
            f"group {name} is forgotten whole: none of its {n_train[g]} samples is retained, so no weight "
            "can stand in for it; forget less of it, or use missing_group='renormalise' (flag "
            "--missing-group renormalise)"
        )
    weights = np.divide(n_train, n_retain, out=np.zeros(n_train.shape), where=n_retain > 0)
    return weights * (n_train.sum() / n_train[~missing].sum())


def reweight(split: ForgetSplit, missing_group: str = "error") -> np.ndarray:
    """Return the weight of each retained sample, in the order of `split.retain`: (n_R,) float64."""
    weights = group_weights(split.n_train, split.n_retain, missing_group, split.group_names)
    return weights[split.group[split.retain]]


def effective_sample_size(weights: Sequence) -> float:
    """Return Kish's effective sample size (sum w)^2 / sum w^2 of (n,) non-negative weights.

    It speaks of a mean over *all* samples: within one group the weights are equal, so the group counts its
    n_R(g) samples, however large the global number is.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0) or not weights.any():
        raise InputError("weights must be a list of finite numbers of 0 or more, not all of them 0")
    return float(weights.sum() ** 2 / (weights**2).sum())


def request_bound(
    n_train: Sequence, n_retain: Sequence, width: float = 1.0, delta: float = 0.05
) -> np.ndarray:
    """Return how far a group's mean over R can be from its mean over D, when the request was drawn uniformly.

    Take one value of each sample, fixed before the request, such as 0 or 1 for right or wrong under a fixed
    model. For each group, with probability 1 - delta or more over the draw of F, the two means differ by at
    most

        width sqrt(V log(2 / delta) / 2) / n_R,    V = sum over k = 1..n_R of ((n_D - n_R) / (n_D - k))^2.

    It is Hoeffding's inequality for the martingale S_k / (n_D - k) of the centred partial sums. Serfling
    (Annals of Statistics, 1974) goes on and bounds V by n_R - n_R (n_R - 1) / n_D. Lesson 12 has the proof.
    No draw is further off than width (n_D - n_R) / n_D, which is returned where it is smaller.

    Args:
        n_train: (K,) whole numbers, samples of each group in D.
        n_retain: (K,) those in R.
        width: > 0, largest minus smallest value that a sample can have; the bound has its unit.
        delta: in (0, 1), probability of one group to be further off. For a statement on m groups or on m
            models at once, take delta / m.

    Returns:
        (K,) float64; 0 for a group that forgets nothing, NaN for one without samples.

    Raises:
        InputError: counts that are no counts, or larger in R than in D; nothing in R, or nothing of a group;
            a width or a delta out of its range.
    """
    n_train, n_retain = (counts.astype(int) for counts in _checked_counts(n_train, n_retain))
    if not isinstance(width, Real) or not 0 < width < np.inf:
        raise InputError(f"width {width!r} is not a finite number above 0: give the range of the values")
    if not isinstance(delta, Real) or not 0 < delta < 1:
        raise InputError(f"delta {delta!r} is outside (0, 1): give a probability, such as 0.05")
    missing = (n_retain == 0) & (n_train > 0)
    if missing.any():
        g = int(np.argmax(missing))
        raise InputError(
            f"group {g} is forgotten whole: none of its {n_train[g]} samples is left to compare with them"
        )
    bounds = []
    for n, kept in zip(n_train, n_retain, strict=True):
        gone = n - kept
        spread = ((gone / np.arange(gone, n)) ** 2).sum() if gone else 0.0
        bounds.append(min(np.sqrt(spread * np.log(2 / delta) / 2) / kept, gone / n) if n else np.nan)
    return width * np.array(bounds)


def pass_length(
    n: int, weights: np.ndarray | None = None, group: np.ndarray | None = None, sampling: str = "replacement"
) -> int:
    """Return how many draws a pass over n samples makes: n, or with top_up as many as before forgetting."""
    return int(_top_up_targets(weights, group).sum()) if weights is not None and sampling == "top_up" else n


def draw_pass(
    rng: np.random.Generator,
    n: int,
    weights: np.ndarray | None = None,
    group: np.ndarray | None = None,
    sampling: str = "replacement",
) -> np.ndarray:
    """Return the positions that one pass over n samples draws: int64, in 0..n-1.

    Args:
        rng: of all draws.
        n: samples.
        weights: (n,) REWEIGHT weights; None: a permutation.
        group: (n,) groups, for top_up.
        sampling: with weights. "replacement" (the paper's): n independent draws with probability w_i / sum w.
            "top_up" (ours): every sample once, then draws within each group until it has the size it had
            before forgetting, as even as whole numbers allow, in random order.
    """
    if weights is None:
        return rng.permutation(n)
    if sampling == "replacement":
        edges = np.cumsum(weights)
        return np.searchsorted(edges, rng.random(n) * edges[-1], side="right").clip(max=n - 1)
    order = []
    for g, size in enumerate(_top_up_targets(weights, group)):
        members = np.flatnonzero(group == g)
        if len(members):
            repeats, rest = divmod(int(size), len(members))
            order += [np.tile(members, repeats), rng.choice(members, rest, replace=False)]
    return rng.permutation(np.concatenate(order))


def _top_up_targets(weights, group):
    """(K,) how many draws each group gets: the sum of its weights is n_D(g)."""
    targets = np.rint(np.bincount(group, weights=weights)).astype(np.int64)
    counts = np.bincount(group)
    if (targets < counts).any():
        g = int(np.argmax(targets < counts))
        raise InputError(
            "top_up needs weights n_D(g) / n_R(g): those of group "
            f"{g} add up to {targets[g]}, for {counts[g]} samples"
        )
    return targets
