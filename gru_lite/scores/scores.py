"""Scores, all in percent, as pure functions of one prediction pass (paper, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import numpy as np
from scipy.special import logsumexp

from ..data.dataset import DatasetParts
from ..errors import DivergedError, InputError, check_choice
from ..groups import ForgetSplit, group_ids, of_forgotten_groups
from ..models import Classifier
from ..train.prediction import predict
from .attacks import balanced_attack, paper_attack

GAP_METRICS = ("RA", "UA", "TA", "MIA", "EO", "GA")


@dataclass(frozen=True, eq=False)
class Scores:
    """What one model scores after one request; percent.

    Attributes:
        RA: accuracy on the retain set.
        UA: on the forget set. Other papers report 100 - UA under this name.
        TA: on the test set.
        MIA: share of F that the paper's attacker calls non-member.
        EO: equalized odds difference on test, mean over targets and pairs of attributes; lower is fairer.
        GA: test accuracy over the forgotten groups.
        EO_worst: the largest of the differences that EO averages.
        EO_paper: EO after the groups are collapsed to 2 x 2, forgotten or not (see `equalized_odds`).
        worst_group: lowest accuracy of a group on test.
        MIA_auc: the balanced attack; 50 is guessing.
        MIA_auc_low: lower end of its 95% interval.
        MIA_auc_high: upper end.
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

    def flat(self) -> dict[str, float]:
        """Return a dict of plain numbers, with the group accuracies as acc_y_s."""
        numbers = asdict(self)
        table = numbers.pop("group_accuracy")
        return numbers | {f"acc_{y}_{s}": float(value) for (y, s), value in np.ndenumerate(table)}

    @classmethod
    def from_flat(cls, numbers: dict[str, float]) -> Scores:
        """Return the Scores that `flat` made a dict of."""
        cells = {
            tuple(map(int, name[4:].split("_"))): v for name, v in numbers.items() if name.startswith("acc_")
        }
        table = np.full(np.max(list(cells), axis=0) + 1, np.nan)
        for cell, value in cells.items():
            table[cell] = value
        rest = {name: value for name, value in numbers.items() if not name.startswith("acc_")}
        return cls(**rest, group_accuracy=table)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of one model on a benchmark: float32 (N, Y) for each part."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def predictions(
    model: Classifier, bench: DatasetParts, threads: int = 1, precision: str = "float32"
) -> Predictions:
    """Run the one prediction pass: every sample of train, validation and test once, on a GPU if there is.

    `precision` as `predict` takes it.
    """
    parts = (bench.train, bench.val, bench.test)
    return Predictions(*(predict(model, part, threads=threads, precision=precision) for part in parts))


def score(model: Classifier | Predictions, bench: DatasetParts, split: ForgetSplit, seed: int = 0) -> Scores:
    """Return the Scores of a model after a request.

    Args:
        model: Classifier, or its Predictions.
        bench: DatasetParts.
        split: ForgetSplit of its train set.
        seed: of the attacks.

    Raises:
        DivergedError: outputs that are not finite.
        InputError: a split of other data, or a test set without a sample of the forgotten groups.
    """
    logits = _predicted(model, bench, split)
    found = accuracies(logits, bench, split)
    loss = losses(logits, bench)
    test = (logits.test.argmax(axis=1) == bench.test.target, bench.test.target, bench.test.sensitive)
    table = accuracy_table(*test, bench.train.n_targets, bench.train.n_sensitive)
    auc, low, high = balanced_attack(
        loss["train"][split.forget], loss["val"], split.group[split.forget], bench.val.group,
        bench.train.source[split.forget], bench.val.source, seed=seed,
    )  # fmt: skip
    return Scores(
        **found,
        MIA=paper_attack(loss["train"][split.retain], loss["val"], loss["train"][split.forget], seed),
        EO_worst=equalized_odds(*test, aggregate="worst"),
        EO_paper=equalized_odds(*test, variant="paper", groups=split.groups),
        worst_group=float(np.nanmin(table)),
        MIA_auc=auc,
        MIA_auc_low=low,
        MIA_auc_high=high,
        group_accuracy=table,
    )


def losses(logits: Predictions, bench: DatasetParts) -> dict[str, np.ndarray]:
    """Return {"train", "val"}: the cross-entropy of each sample in nats, float64 (N,), as attacks see it."""
    found = {}
    for part in ("train", "val"):
        target, values = getattr(bench, part).target, getattr(logits, part)
        found[part] = logsumexp(values.astype(np.float64), axis=1) - values[np.arange(len(target)), target]
    return found


def accuracies(model: Classifier | Predictions, bench: DatasetParts, split: ForgetSplit) -> dict[str, float]:
    """Return RA, UA, TA, EO and GA in percent: what `score` gives, without an attack and so in less time.

    Arguments and errors as those of `score`.
    """
    logits = _predicted(model, bench, split)
    for part in ("train", "val", "test"):
        is_finite = np.isfinite(getattr(logits, part)).all(axis=1)
        if not is_finite.all():
            row = int(np.argmin(is_finite))
            raise DivergedError(
                f"the model's outputs are not finite (first on {part} sample {row}): it has diverged"
            )
    of_forgotten = of_forgotten_groups(split, bench.test)
    if not of_forgotten.any():
        raise InputError(f"test has no sample of the forgotten groups {list(split.groups)}: GA is undefined")
    train, test = (getattr(logits, p).argmax(axis=1) == getattr(bench, p).target for p in ("train", "test"))
    return {
        "RA": percent(train[split.retain]),
        "UA": percent(train[split.forget]),
        "TA": percent(test),
        "EO": equalized_odds(test, bench.test.target, bench.test.sensitive),
        "GA": percent(test[of_forgotten]),
    }


def _predicted(model, bench, split):
    """The Predictions of a model, or what it is already; a split of other data is refused before that."""
    if not np.array_equal(split.group, bench.train.group):
        raise InputError(
            f"the split was made for other data: it has {len(split.train)} samples, "
            f"and train has {len(bench.train)}"
        )
    return model if isinstance(model, Predictions) else predictions(model, bench)


def percent(correct: np.ndarray) -> float:
    """Return 100 times the mean of a boolean array."""
    return 100 * float(np.mean(correct))


def accuracy_table(
    correct: np.ndarray,
    target: np.ndarray,
    sensitive: np.ndarray,
    n_targets: int | None = None,
    n_sensitive: int | None = None,
) -> np.ndarray:
    """Return the (Y, S) accuracy of each group in percent; NaN for a group without samples.

    Args:
        correct: (N,) whether a prediction is right.
        target: (N,) y.
        sensitive: (N,) s.
        n_targets: Y; None for as many as occur.
        n_sensitive: S; None for as many as occur.
    """
    n_targets = n_targets or int(np.max(target)) + 1
    n_sensitive = n_sensitive or int(np.max(sensitive)) + 1
    group = group_ids(target, sensitive, n_sensitive)
    count = np.bincount(group, minlength=n_targets * n_sensitive)
    right = np.bincount(group, weights=np.asarray(correct, dtype=float), minlength=n_targets * n_sensitive)
    table = np.divide(100 * right, count, out=np.full(len(count), np.nan), where=count > 0)
    return table.reshape(n_targets, n_sensitive)


def equalized_odds(
    correct: np.ndarray,
    target: np.ndarray,
    sensitive: np.ndarray,
    aggregate: str = "mean",
    variant: str = "full",
    groups: list | None = None,
) -> float:
    """Return the equalized odds difference in percent: abs(acc(y, s) - acc(y, s')), 0 is fair.

    Args:
        correct: (N,) whether a prediction is right.
        target: (N,) y.
        sensitive: (N,) s.
        aggregate: "mean" over targets and pairs of attributes, or the "worst" of them. For two targets and
            two attributes these are fairlearn's agg="mean" and agg="worst_case".
        variant: "full", or "paper": groups collapsed to 2 x 2, y among the forgotten targets or not, s among
            the forgotten attributes or not, as in the paper's FairFace and MultiNLI numbers.
        groups: with "paper", the forgotten (target, sensitive) pairs.

    Returns:
        percent; NaN when no target has two attributes to compare.
    """
    check_choice(aggregate, ("mean", "worst"), "aggregate")
    check_choice(variant, ("full", "paper"), "variant")
    correct, target, sensitive = (np.asarray(a) for a in (correct, target, sensitive))
    if not len(correct) == len(target) == len(sensitive) or len(correct) == 0:
        raise InputError(
            f"correct, target and sensitive have {len(correct)}, {len(target)}, {len(sensitive)} entries: "
            "give one of each for every sample"
        )
    if variant == "paper":
        if groups is None:
            raise InputError("variant='paper' needs groups: the forgotten (target, sensitive) pairs")
        forgotten = np.array(groups)
        target = np.isin(target, forgotten[:, 0]).astype(int)
        sensitive = np.isin(sensitive, forgotten[:, 1]).astype(int)
    table = accuracy_table(correct, target, sensitive)
    first, second = np.triu_indices(table.shape[1], k=1)
    differences = np.abs(table[:, first] - table[:, second])
    if np.isnan(differences).all():
        return float("nan")
    return float(np.nanmean(differences) if aggregate == "mean" else np.nanmax(differences))


def average_gap(scores: Scores, reference: Scores | SimpleNamespace) -> float:
    """Return 100 - mean over {RA, UA, TA, MIA, EO, GA} of abs(score - reference); 100 is identical (paper,
    section 5).
    """
    gaps = [abs(getattr(scores, name) - getattr(reference, name)) for name in GAP_METRICS]
    return 100 - float(np.mean(gaps))


def mean_reference(references: Sequence[Scores]) -> SimpleNamespace:
    """Return what `average_gap` needs of several references: the mean of each of their six scores.

    One reference is a noisy yardstick; the mean of N varies sqrt(N) times less.
    """
    references = list(references)
    means = {name: float(np.mean([getattr(one, name) for one in references])) for name in GAP_METRICS}
    return SimpleNamespace(**means)


def tug_of_war(scores: Scores, reference: Scores | SimpleNamespace) -> float:
    """Return ToW, 100 * product over {RA, UA, TA} of (1 - abs(score - reference) / 100); 100 is identical."""
    kept = [1 - abs(getattr(scores, m) - getattr(reference, m)) / 100 for m in ("RA", "UA", "TA")]
    return 100 * float(np.prod(kept))
