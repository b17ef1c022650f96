"""Group labels that are missing or wrong: what is seen of the sensitive attribute, and weights from it.

Targets and the request are known; the sensitive attribute s of a sample is seen as h with probability
C[s, h], whatever else is true of the sample. Training and weights get what is seen, scores the truth:

    seen = observe(bench.train, flips(0.1), seed)              # the same samples, other sensitive attributes
    split = forget_split(seen, indices=true_split.forget)      # the request, as it looks through the labels
    reweight(split), or corrected_reweight(split, flips(0.1))  # weights from the seen groups

The correction solves two linear systems. Of one target, let n(s) be the true and m(h) the seen counts, so
that E[m] = C^T n: solving gives the true counts of D and R, and w(s) = n_D(s) / n_R(s), what a true group
should weigh. A sample of true group s that is seen as h weighs v(h), so on average sum_h C[s, h] v(h): C v =
w makes the draws of the true groups those of D. (Correcting a loss by a transition matrix goes back to
Patrini et al., 2017, *Making deep neural networks robust to label noise*.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import nnls
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data.dataset import GroupedDataset
from .errors import InputError
from .groups import ForgetSplit
from .seeding import stream

MISSING = -1  # a sensitive attribute that is not known
LARGEST_CONDITION = 100  # of a confusion matrix: two labels that are flipped at a rate of 0.495


def check_confusion(confusion: np.ndarray, n_sensitive: int | None = None) -> np.ndarray:
    """Return a confusion matrix as float64 (S, S), or raise InputError that says why it is none.

    Args:
        confusion: C[s, h] = P(seen as h | true s): a row is a law, so it has shares that add up to 1.
        n_sensitive: S that the data has; None: any.
    """
    try:
        matrix = np.asarray(confusion, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("the confusion matrix is not a square table of numbers") from None
    size = (n_sensitive,) * 2 if n_sensitive else "square"
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or n_sensitive not in (None, len(matrix)):
        raise InputError(
            f"the confusion matrix has shape {matrix.shape}, and must be {size}: a row for each true value "
            "of the sensitive attribute, a column for each seen one"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix > 1).any():
        row = int(np.argmin((np.isfinite(matrix) & (matrix >= 0) & (matrix <= 1)).all(axis=1)))
        raise InputError(
            f"row {row} of the confusion matrix is {matrix[row].tolist()}: give probabilities, from 0 to 1"
        )
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1, atol=1e-6):
        row = int(np.argmax(np.abs(sums - 1)))
        hint = "; its columns do: give the transpose" if np.allclose(matrix.sum(axis=0), 1, atol=1e-6) else ""
        raise InputError(
            f"row {row} of the confusion matrix adds up to {sums[row]:g}, not to 1: it must be the shares in "
            f"which true value {row} is seen as each value{hint}"
        )
    return matrix


def flips(rate: float, n_sensitive: int = 2) -> np.ndarray:
    """Return the confusion matrix (S, S) of labels that are wrong at one rate, whatever the true value is.

    Args:
        rate: probability in [0, 1] that a label is wrong.
        n_sensitive: S, 2 or more.
    """
    if not 0 <= rate <= 1:
        raise InputError(f"flip rate {rate} is outside [0, 1]: give the share of wrong labels, such as 0.1")
    if n_sensitive < 2:
        raise InputError(f"labels of {n_sensitive} value cannot be flipped: there must be 2 or more")
    return np.where(np.eye(n_sensitive, dtype=bool), 1 - rate, rate / (n_sensitive - 1))


def observe(dataset: GroupedDataset, confusion: np.ndarray, seed: int = 0) -> GroupedDataset:
    """Return the same samples with the sensitive attributes that are seen, each drawn from a row of C.

    Args:
        dataset: with the true sensitive attributes.
        confusion: (S, S) probabilities C[s, h] = P(seen as h | true s).
        seed: integer >= 0. With the same seed the samples that a lower rate flips are flipped at a higher
            one, too; with three values or more they may be seen as another.

    Raises:
        InputError: a confusion matrix that is none, or of another size.
    """
    law = check_confusion(confusion, dataset.n_sensitive)[dataset.sensitive]
    # The true label's share comes first: a sample keeps its label at every rate below 1 minus its draw.
    order = (dataset.sensitive[:, None] + np.arange(dataset.n_sensitive)) % dataset.n_sensitive
    edges = np.cumsum(np.take_along_axis(law, order, axis=1), axis=1)
    draw = stream(seed, "seen labels").random((len(dataset), 1))
    place = (draw >= edges).sum(axis=1).clip(max=dataset.n_sensitive - 1)
    return replace(dataset, sensitive=order[np.arange(len(dataset)), place])


def hide(sensitive: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Return int64 (N,) sensitive attributes of which a share is known, drawn uniformly; others are MISSING.

    Args:
        sensitive: (N,) whole numbers.
        share: in [0, 1], rounded to whole samples. With one seed a smaller share is part of a larger one.
        seed: integer >= 0.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share {share} is outside [0, 1]: give the share of labels that are known")
    seen = np.full(len(sensitive), MISSING, dtype=np.int64)
    known = stream(seed, "known labels").permutation(len(sensitive))[: round(share * len(sensitive))]
    seen[known] = np.asarray(sensitive)[known]
    return seen


def infer(
    features: np.ndarray, target: np.ndarray, sensitive: np.ndarray, n_sensitive: int, seed: int = 0
) -> np.ndarray:
    """Return the sensitive attributes with those that are MISSING read off a model's features.

    With some known, a logistic regression on the standardised features and the target learns from them, as in
    pseudo-labelling (*Spread Spurious Attribute*, ICLR 2022). With none, the samples of each target
    are split into S clusters, a Gaussian mixture on eight principal components, after Sohoni et al. (2020,
    *No subclass left behind*). Clusters are numbered by size within a target: they have no names, and
    REWEIGHT needs none.

    Args:
        features: float (N, D), such as `extract_features(original, data)`.
        target: whole numbers (N,), y.
        sensitive: whole numbers (N,), MISSING where not known; what is known is kept.
        n_sensitive: number of values of the sensitive attribute, S
        seed: integer >= 0, of the mixture.

    Returns:
        int64 (N,), 0 to S - 1.

    Raises:
        InputError: features that are no table of finite numbers, arrays of different lengths, labels out of
            range, known labels of one value alone, or with none known a target with fewer than S samples.
    """
    features, target, sensitive = np.asarray(features), np.asarray(target), np.array(sensitive)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise InputError("the features must be a table of finite numbers, a row for each sample")
    if (sensitive != np.floor(sensitive)).any():
        raise InputError(f"sensitive must be whole numbers, not {sensitive[sensitive % 1 != 0][0]}")
    sensitive = sensitive.astype(np.int64)
    if not len(features) == len(target) == len(sensitive) or sensitive.ndim != 1:
        raise InputError(
            f"features, target and sensitive have {len(features)}, {len(target)} and {len(sensitive)} "
            "entries: give one of each for every sample"
        )
    if len(sensitive) and not MISSING <= sensitive.min() <= sensitive.max() < n_sensitive:
        raise InputError(f"sensitive must be 0 to {n_sensitive - 1}, or {MISSING} where it is not known")
    known = sensitive != MISSING
    if known.all():
        return sensitive
    if known.any():
        values = np.unique(sensitive[known])
        if len(values) < 2:
            raise InputError(
                f"all {known.sum()} known labels are {values[0]}: to learn the others from them takes two "
                "values or more, so label more samples"
            )
        inputs = np.column_stack([features, target[:, None] == np.unique(target)])
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        sensitive[~known] = probe.fit(inputs[known], sensitive[known]).predict(inputs[~known])
        return sensitive
    for y in np.unique(target):
        members = np.flatnonzero(target == y)
        if len(members) < n_sensitive:
            raise InputError(f"target {y} has {len(members)} samples, too few for {n_sensitive} clusters")
        inputs = StandardScaler().fit_transform(features[members])
        start = seed % 2**32  # as large as scikit-learn takes
        inputs = PCA(min(8, *inputs.shape), random_state=start).fit_transform(inputs)
        cluster = GaussianMixture(n_sensitive, n_init=2, random_state=start).fit_predict(inputs)
        by_size = np.argsort(-np.bincount(cluster, minlength=n_sensitive), kind="stable")
        sensitive[members] = np.argsort(by_size)[cluster]
    return sensitive


def true_counts(n_seen: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Return the counts (K,) of true groups that are seen as `n_seen` on average: n solves C^T n = n_seen.

    Args:
        n_seen: (K,) samples of each seen group, in the order of group ids.
        confusion: (S, S) probabilities C[s, h] = P(seen as h | true s).

    Returns:
        (K,) float64, unbiased; not whole, and below 0 where the counts are few and the flips many. Counts of
        a target keep their sum.

    Raises:
        InputError: counts or a confusion matrix that are none, or labels that say next to nothing.
    """
    matrix = check_confusion(confusion)
    if np.linalg.cond(matrix) > LARGEST_CONDITION:
        raise InputError(
            "the confusion matrix cannot be undone: its rows are nearly equal, or one mixes the others, "
            "so the seen labels say next to nothing of the true ones; REWEIGHT needs better labels"
        )
    n_seen = np.asarray(n_seen, dtype=np.float64)
    if n_seen.ndim != 1 or len(n_seen) % len(matrix) or not np.isfinite(n_seen).all() or (n_seen < 0).any():
        raise InputError(
            f"the counts of seen groups must be numbers of 0 or more, {len(matrix)} for each target, not "
            f"{n_seen.tolist()}"
        )
    return np.linalg.solve(matrix.T, n_seen.reshape(-1, len(matrix)).T).T.ravel()


def corrected_group_weights(
    n_train: np.ndarray, n_retain: np.ndarray, confusion: np.ndarray, floor: float | None = None
) -> np.ndarray:
    """Return what a retained sample of each *seen* group weighs, so that the *true* groups are drawn as in D.

    The weights of a target solve C v = w, where w = n_D / n_R is the ratio of the estimated true counts.
    Where a solution has a negative weight no weights v >= 0 restore all groups of the target. Then v >= 0
    minimises the squared error of C v, and is scaled so that the target is drawn as often as in D. With two
    values of s, the ratio of a member's weight to a stranger's is at most P(seen in the group | of it) /
    P(seen in the group | not of it), so a w above this ratio is out of reach.

    Args:
        n_train: (K,) samples of each seen group in D.
        n_retain: (K,) those in R.
        confusion: (S, S) probabilities C[s, h] = P(seen as h | true s), the same for all targets.
        floor: what an estimated count of R below it is taken as, above 0; None: a count below 1 is refused.

    Returns:
        (K,) float64. D contains R, so an estimated count of D below that of R is taken as that of R. The
        weights of all retained samples of a target add up to its samples in D.

    Raises:
        InputError: what `true_counts` refuses, a target of which no sample is retained, a floor of 0 or
            less, or, without a floor, a group whose estimated count is below 1 in R and not in D.
    """
    matrix = check_confusion(confusion)
    if floor is not None and not floor > 0:
        raise InputError(f"floor {floor} must be above 0: it divides the count of D")
    had, kept = true_counts(n_train, matrix), true_counts(n_retain, matrix)
    is_lost = (kept < 1) & (had >= 1)
    if floor is None and is_lost.any():
        group = int(np.argmax(is_lost))
        raise InputError(
            f"group {group} has an estimated {kept[group]:.1f} retained samples, too few for a weight: "
            "label more samples with care, or check the confusion matrix (floor=1 counts it as 1)"
        )
    kept = np.maximum(kept, floor or 1)
    wanted = (np.maximum(had, kept) / kept).reshape(-1, len(matrix))
    seen = np.asarray(n_retain, dtype=np.float64).reshape(wanted.shape)
    total = np.asarray(n_train, dtype=np.float64).reshape(wanted.shape).sum(axis=1)
    weights = np.array([nnls(matrix, w)[0] for w in wanted])
    drawn = (seen * weights).sum(axis=1)
    if ((drawn == 0) & (total > 0)).any():
        y = int(np.argmax((drawn == 0) & (total > 0)))
        raise InputError(
            f"target {y} cannot be weighted: no retained sample is seen in a group that should be"
        )
    return (weights * np.divide(total, drawn, out=np.zeros(len(drawn)), where=drawn > 0)[:, None]).ravel()


def corrected_reweight(split: ForgetSplit, confusion: np.ndarray, floor: float | None = None) -> np.ndarray:
    """Return `corrected_group_weights` of each retained sample, as `split.retain` lists them: (n_R,) float64.

    Args:
        split: of the seen groups, `forget_split(seen, indices=...)`.
        confusion: (S, S) probabilities C[s, h] = P(seen as h | true s).
        floor: as in `corrected_group_weights`.
    """
    weights = corrected_group_weights(split.n_train, split.n_retain, confusion, floor)
    return weights[split.group[split.retain]]
