"""REWEIGHT: sample what is retained so that every draw has the group distribution of all training data.

Source: paper, section 4 (REWEIGHT). A retained sample i gets the weight w_i = n_D(g_i) / n_R(g_i).
"""

import numpy as np

from .errors import InputError, check_choice

MISSING_GROUP = ("error", "renormalise")
SAMPLING = ("replacement", "top_up")


def group_weights(n_train, n_retain, missing_group="error", group_names=None):
    """Return the weight of a retained sample of each group, n_D(g) / n_R(g).

    Args:
        n_train, n_retain: (K,) whole numbers, samples of each group in D and in R.
        missing_group: what to do with a group that is forgotten whole, for which no weight exists: "error", or
            "renormalise" to spread its share over the groups that remain, in proportion to their own.
        group_names: K names for error messages; None uses the numbers.

    Returns:
        (K,) float64. A group without retained samples has weight 0. The weights of all retained samples add up to
        the size of D.

    Raises:
        InputError: counts that are negative, fractional, of different shapes, or larger in R than in D; a group that
            was forgotten whole, unless missing_group is "renormalise".
    """
    check_choice(missing_group, MISSING_GROUP, "missing_group")
    n_train, n_retain = np.asarray(n_train), np.asarray(n_retain)
    if n_train.shape != n_retain.shape or n_train.ndim != 1:
        raise InputError(f"group counts of D {n_train.shape} and R {n_retain.shape} are not two lists of one length")
    for name, counts in (("D", n_train), ("R", n_retain)):
        if not np.all(np.isfinite(counts)) or np.any(counts < 0) or np.any(counts != np.floor(counts)):
            raise InputError(f"group counts of {name} are not whole numbers of 0 or more: {counts.tolist()}")
    if np.any(n_retain > n_train):
        g = int(np.argmax(n_retain > n_train))
        raise InputError(f"group {g} has {n_retain[g]} retained samples but only {n_train[g]} train samples")
    if not n_retain.any():
        raise InputError("nothing is retained: there is no sample to weight")
    missing = (n_retain == 0) & (n_train > 0)
    if missing.any() and missing_group == "error":
        g = int(np.argmax(missing))
        name = g if group_names is None else group_names[g]
        raise InputError(
            f"group {name} is forgotten whole: none of its {n_train[g]} samples is retained, so no weight can stand in "
            "for it; forget less of it, or use missing_group='renormalise' (flag --missing-group renormalise)"
        )
    weights = np.divide(n_train, n_retain, out=np.zeros(n_train.shape), where=n_retain > 0)
    return weights * (n_train.sum() / n_train[~missing].sum())


def reweight(split, missing_group="error"):
    """Return one weight for each retained sample of a ForgetSplit, in the order of `split.retain`: (n_R,) float64."""
    return group_weights(split.n_train, split.n_retain, missing_group, split.group_names)[split.group[split.retain]]


def effective_sample_size(weights):
    """Return Kish's effective sample size (sum w)^2 / sum w^2 of (n,) non-negative weights.

    It speaks of a mean over *all* samples: within one group the weights are equal, so the group counts its n_R(g)
    samples, however large the global number is.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0) or not weights.any():
        raise InputError("weights must be a list of finite numbers of 0 or more, not all of them 0")
    return float(weights.sum() ** 2 / (weights**2).sum())


def pass_length(n, weights=None, group=None, sampling="replacement"):
    """Return how many draws one pass over n samples makes: n, or with top_up the number of samples before forgetting."""
    return n if weights is None or sampling == "replacement" else int(_top_up_targets(weights, group).sum())


def draw_pass(rng, n, weights=None, group=None, sampling="replacement"):
    """Return the positions (int64, in 0..n-1) that one pass over n samples draws.

    Without weights: a permutation. "replacement" (the paper's): n independent draws with probability w_i / sum w.
    "top_up" (ours): every sample once, then draws within each group until it has the size it had before forgetting,
    as even as whole numbers allow, in random order.
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
        raise InputError(f"top_up needs weights n_D(g) / n_R(g): those of group {g} add up to {targets[g]}, for {counts[g]} samples")
    return targets
