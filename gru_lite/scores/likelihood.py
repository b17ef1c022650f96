"""An audit by shadow models: a likelihood-ratio attack with a Gaussian pair for each sample.

LiRA (Carlini et al., 2022, arXiv 2112.03570) asks of every sample by itself: is this model's confidence in it
rather that of models that were trained on it, or of models that were not? U-LiRA (Hayes et al., 2024, arXiv
2403.01218) asks the same after unlearning: were they trained on it, and then asked to forget it? Both are
`likelihood_ratio_attack`: only the models differ that are given to it. Lesson 16 audits the methods.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.special import logsumexp

from ..errors import InputError
from ..seeding import stream

FEWEST_MODELS = 8  # shadow models of each kind that a sample's Gaussians need
FEWEST_CLUSTERS = 20  # clusters of models that an interval needs
FALSE_ALARMS = 10  # non-members that lie above the threshold of a rate, or its value is chance


def logit_confidence(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return log p / (1 - p) of each sample's own target: float64 (n,), roughly Gaussian over models.

    Computed from logits, so that a confidence near 1 keeps its digits.

    Args:
        logits: (n, Y) finite, Y of 2 or more.
        target: (n,) whole numbers from 0 to Y - 1.

    Raises:
        InputError: one class alone, targets that don't fit the logits, or logits that are not finite.
    """
    logits, target = np.asarray(logits, dtype=np.float64), np.asarray(target)
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise InputError(f"logits have shape {logits.shape}: give (samples, classes), 2 classes or more")
    n, n_classes = logits.shape
    if target.shape != (n,) or not np.isin(target, np.arange(n_classes)).all():
        raise InputError(
            f"target: give {n} whole numbers from 0 to {n_classes - 1}, one for each row of logits"
        )
    if not np.isfinite(logits).all():
        raise InputError(f"logits of sample {np.argwhere(~np.isfinite(logits))[0][0]} are not finite")
    rows, target = np.arange(n), target.astype(np.int64)
    others = logits.copy()
    others[rows, target] = -np.inf
    return logits[rows, target] - logsumexp(others, axis=1)


def likelihood_ratio_attack(
    confidence: np.ndarray,
    member: np.ndarray,
    used: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
) -> np.ndarray:
    """Return how much more likely each confidence is among members than among non-members: the log of the
    ratio, (M, N).

    A sample has two Gaussians, of the confidences of members and of non-members, with a mean and a variance
    of its own. Every model is attacked with the Gaussians of the others: its own cluster is left out.

    For LiRA a member is a sample that the model was trained on. For U-LiRA it is one that the model was
    trained on and then asked to forget, and `used` leaves out the samples that stayed.

    Args:
        confidence: (M, N) finite numbers, of M models in N samples, such as `logit_confidence`.
        member: (M, N) booleans.
        used: (M, N) booleans, the entries that take part; None: all.
        cluster: (M,) whole numbers, models that are left out together, such as two that were trained on
            complementary halves; None: every model is its own.

    Returns:
        float64 (M, N); NaN for the entries that take no part.

    Raises:
        InputError: shapes that differ, confidences that are not finite, members or non-members alone, fewer
            than 8 shadow models of a kind for a sample, or confidences that do not vary.
    """
    confidence, member, used, cluster = _checked(confidence, member, used, cluster)
    n_clusters = cluster.max() + 1
    centre = np.where(used, confidence, 0).sum(axis=0) / np.maximum(used.sum(axis=0), 1)
    centred = confidence - centre  # small numbers: their squares keep their digits
    log_density = []
    for kind, inside in (("members", used & member), ("non-members", used & ~member)):
        sums = np.zeros((3, n_clusters, confidence.shape[1]))
        for power in range(3):
            np.add.at(sums[power], cluster, np.where(inside, centred**power, 0))
        n, total, squares = sums.sum(axis=1, keepdims=True) - sums  # of the other clusters
        attacked = np.zeros_like(n, dtype=bool)
        np.logical_or.at(attacked, cluster, used)
        few = attacked & (n < FEWEST_MODELS)
        if few.any():
            c, sample = np.argwhere(few)[0]
            raise InputError(
                f"sample {sample} has {n[c, sample]:.0f} shadow models of {kind}, besides those attacked: "
                f"its Gaussian needs {FEWEST_MODELS}; train {2 * FEWEST_MODELS + 2} models or more, each on "
                "half of the data"
            )
        n = np.maximum(n, 2)
        mean = total / n
        variance = (squares - n * mean**2) / (n - 1)
        flat = attacked & (variance <= 1e-14 * np.maximum(1, squares / n))
        if flat.any():
            sample = np.argwhere(flat)[0][1]
            raise InputError(
                f"the confidences in sample {sample} are the same in all shadow models of {kind}: "
                "no Gaussian fits; give log p / (1 - p) from logits"
            )
        variance = np.maximum(variance, 1e-300)[cluster]
        log_density.append(-0.5 * (np.log(variance) + (centred - mean[cluster]) ** 2 / variance))
    return np.where(used, log_density[0] - log_density[1], np.nan)


def tpr_at_fpr(
    score: np.ndarray,
    member: np.ndarray,
    fpr: float,
    used: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    source: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return (TPR, low, high) in percent: the members that an attack finds while it calls at most a share
    `fpr` of the non-members members.

    One threshold serves all samples. Guessing finds 100 * fpr. The 95% interval is a bootstrap that resamples
    clusters of models, since the entries of one model are not independent, and sources of samples if they are
    given.

    Args:
        score: (M, N), higher for members, such as `likelihood_ratio_attack` returns; only the order counts.
        member: (M, N) booleans.
        fpr: in (0, 1).
        used: (M, N) booleans, the entries that take part; None: all.
        cluster: (M,) whole numbers, models that are resampled together; None: every model is its own.
        source: (N,) whole numbers, samples that are resampled together; None: the samples stay as they are,
            and the interval is about other models for these samples.
        n_bootstrap: draws.
        seed: of the draws.

    Raises:
        InputError: as `likelihood_ratio_attack`; fewer than 20 clusters of models; fewer than 10 / fpr
            non-members; the message says how many models would do.
    """
    if n_bootstrap < 1:
        raise InputError(f"n_bootstrap is {n_bootstrap}: an interval needs 1 draw or more")
    rates = attack_rates(score, member, (fpr,), used, cluster, source, n_bootstrap, seed)[:, 0]
    return float(rates[0]), *map(float, np.percentile(rates[1:], [2.5, 97.5]))


def attack_rates(
    score: np.ndarray,
    member: np.ndarray,
    fprs: tuple,
    used: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    source: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Return (1 + n_bootstrap, len(fprs) + 1) percent: TPR at each FPR and, last, the AUC; the first row of
    all entries, the others of the draws.

    Two attacks on models with the same clusters and seed have the same draws: their differences are paired.
    Arguments and errors as those of `tpr_at_fpr`.
    """
    for fpr in fprs:
        if isinstance(fpr, bool) or not isinstance(fpr, Real) or not 0 < fpr < 1:
            raise InputError(f"fpr {fpr!r} is not a number between 0 and 1: give a share, such as 0.01")
    if n_bootstrap < 0:
        raise InputError(f"n_bootstrap is {n_bootstrap}: give 0 draws or more")
    score, member, used, cluster = _checked(score, member, used, cluster, "score")
    n_samples = score.shape[1]
    if source is not None and np.shape(source) != (n_samples,):
        raise InputError(f"source has shape {np.shape(source)} for {n_samples} samples: give one for each")
    n_clusters, outside = cluster.max() + 1, int((used & ~member).sum())
    if n_clusters < FEWEST_CLUSTERS:
        raise InputError(
            f"{n_clusters} clusters of models are too few for an interval: it needs {FEWEST_CLUSTERS}, that "
            f"is {-(-FEWEST_CLUSTERS * len(score) // n_clusters)} models"
        )
    if outside < FALSE_ALARMS / min(fprs):
        needed = FALSE_ALARMS / min(fprs)
        enough = np.ceil(1e4 * FALSE_ALARMS / outside) / 1e4  # rounded up: it is accepted
        raise InputError(
            f"{outside} non-members are too few for fpr {min(fprs):g}: it needs {np.ceil(needed):.0f}, "
            f"that is {int(np.ceil(len(score) * needed / outside))} models"
            + (f", or an fpr of {enough:g}" if enough < 1 else "")
        )
    row, column = np.nonzero(used)
    value = score[row, column]
    order = np.argsort(-value, kind="stable")
    row, column, value = row[order], column[order], value[order]
    inside = member[row, column]
    ends = np.flatnonzero(np.r_[value[1:] != value[:-1], True])  # equal scores are called alike
    of_source = np.arange(n_samples) if source is None else np.unique(source, return_inverse=True)[1]
    rng, found = stream(seed, "bootstrap"), []
    for draw in range(n_bootstrap + 1):
        times, weight = np.ones(n_clusters), np.ones(of_source.max() + 1)
        if draw:
            times = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
            if source is not None:
                weight = np.bincount(rng.integers(0, len(weight), len(weight)), minlength=len(weight))
        each = times[cluster[row]] * weight[of_source[column]]
        true, false = (np.cumsum(each * chosen)[ends] for chosen in (inside, ~inside))
        true, false = true / max(true[-1], 1e-12), false / max(false[-1], 1e-12)
        true, false = np.r_[0, true], np.r_[0, false]
        at = np.searchsorted(false, np.array(fprs) + 1e-12, side="right") - 1
        found.append([*true[at], np.trapezoid(true, false)])
    return 100 * np.array(found)


def _checked(values, member, used, cluster, name="confidence"):
    """The arrays of what was given, float64, bool, bool and int64 from 0, or InputError."""
    values, member = np.asarray(values, dtype=np.float64), np.asarray(member)
    if values.ndim != 2:
        raise InputError(f"{name} has shape {values.shape}: give (models, samples)")
    used = np.ones(values.shape, dtype=bool) if used is None else np.asarray(used)
    for what, array in (("member", member), ("used", used)):
        if array.shape != values.shape or array.dtype != bool:
            raise InputError(
                f"{what} is {array.dtype} {array.shape}: give booleans of the shape of {name}, {values.shape}"
            )
    if cluster is not None and np.shape(cluster) != values.shape[:1]:
        raise InputError(f"cluster has shape {np.shape(cluster)} for {len(values)} models: give one for each")
    wrong = used & ~np.isfinite(values)
    if wrong.any():
        model, sample = np.argwhere(wrong)[0]
        raise InputError(f"{name} of model {model} in sample {sample} is {values[model, sample]}: not finite")
    for kind, inside in (("members", used & member), ("non-members", used & ~member)):
        if not inside.any():
            raise InputError(f"there are no {kind} in what takes part: an attack needs both kinds")
    cluster = np.arange(len(values)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    return np.where(used, values, 0.0), member, used, cluster
