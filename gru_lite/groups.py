"""Groups and forget requests: who asks to be forgotten, and what is left (paper, section 3).

A sample is (x, y, s) with target y in {0..Y-1} and sensitive attribute s in {0..S-1}; its group is g = y * S + s,
one of K = Y * S. A request removes a forget set F from the train set D and leaves the retain set R, the rest of D.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .errors import InputError
from .seeding import stream


def group_ids(target, sensitive, n_sensitive):
    """Return g = y * S + s for integer arrays `target` and `sensitive` of one shape, as int64."""
    return np.asarray(target, dtype=np.int64) * n_sensitive + np.asarray(sensitive, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ForgetSplit:
    """A forget request, carried out: indices into the train set, sorted, int64.

    Attributes:
        train: (N,) all indices, D.
        forget: (n_F,) the forget set F.
        retain: (N - n_F,) the retain set R.
        groups: the forgotten groups as (target, sensitive) pairs.
        group: (N,) group of every train sample.
        n_train, n_retain: (K,) samples of each group in D and in R.
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


def parse_ratio(ratio):
    """Return `ratio` as an exact Fraction in (0, 1]; 0.29 means 29/100, whatever its binary rounding."""
    try:
        if isinstance(ratio, bool):
            raise ValueError
        exact = Fraction(str(ratio))
    except (ValueError, ZeroDivisionError):
        raise InputError(f"ratio {ratio!r} is not a number: give a share in (0, 1], such as 0.5") from None
    if not 0 < exact <= 1:
        raise InputError(f"ratio {ratio} is outside (0, 1]: give the share of each group to forget, such as 0.5")
    return exact


def parse_group(group, target_names, sensitive_names):
    """Return one group as a pair of integers (y, s).

    `group` is a pair of numbers or names, or the text "y,s" or "name,name".
    """
    parts = [part.strip() for part in group.strip("() ").split(",")] if isinstance(group, str) else group
    if not isinstance(parts, (list, tuple, np.ndarray)) or len(parts) != 2:
        raise InputError(f"group {group!r} is not a pair: give target,sensitive, such as 1,0")
    pair = []
    for value, names, what in zip(parts, (target_names, sensitive_names), ("target", "sensitive")):
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


def forget_split(dataset, groups=None, ratio=None, seed=0, indices=None):
    """Draw a forget request, or take it as an explicit list.

    Args:
        dataset: the grouped train set D.
        groups: list of (target, sensitive) pairs; floor(ratio * n_g) samples are drawn, uniformly and without
            replacement, from *each* of them. With the same seed a smaller ratio draws a subset of a larger one.
        ratio: share in (0, 1], read as an exact decimal.
        seed: integer >= 0, the stream of F.
        indices: instead of groups and ratio, the samples to forget.

    Returns:
        ForgetSplit.

    Raises:
        InputError: a group that does not exist, is empty or is named twice; a request that comes to no sample, or
            that leaves none; indices that are no whole numbers, out of range or repeated.
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
        share = parse_ratio(ratio)
        pairs = _check_groups(dataset, groups)
        chosen = []
        for y, s in pairs:
            g = y * dataset.n_sensitive + s
            n_forget = int(share * int(n_train[g]))  # floor, exactly
            if n_forget == 0:
                raise InputError(
                    f"ratio {ratio} of group ({y}, {s}) ({dataset.group_names[g]}) comes to no sample: it has "
                    f"{n_train[g]}, so the smallest ratio that works is {_smallest_ratio(int(n_train[g]))}"
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


def _check_groups(dataset, groups):
    if not hasattr(groups, "__len__") or isinstance(groups, (str, bytes)) or (len(groups) == 2 and all(np.isscalar(part) for part in groups) and not any(
        isinstance(part, str) and "," in part for part in groups
    )):
        raise InputError(f"groups {groups!r} is not a list of pairs: write [(1, 0)] (on the command line --groups 1,0)")
    if len(groups) == 0:
        raise InputError("groups is empty: name at least one (target, sensitive) pair")
    pairs = [parse_group(group, dataset.target_names, dataset.sensitive_names) for group in groups]
    for y, s in pairs:
        if pairs.count((y, s)) > 1:
            raise InputError(f"group ({y}, {s}) is named twice")
        g = y * dataset.n_sensitive + s
        if dataset.group_counts[g] == 0:
            raise InputError(f"group ({y}, {s}) ({dataset.group_names[g]}) is empty: it has no train sample to forget")
    return tuple(pairs)


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
