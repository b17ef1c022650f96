"""Membership inference: can an attacker tell from a sample's loss alone that the model was trained on it?"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from ..errors import InputError
from ..seeding import stream

FOREST_SIZES = (20, 50, 100)
CRITERIA = ("gini", "entropy")


def paper_attack(
    member_loss: np.ndarray,
    nonmember_loss: np.ndarray,
    forget_loss: np.ndarray,
    seed: int = 0,
    n_jobs: int = 1,
) -> float:
    """Return the share of F that the paper's attacker calls "not a member", in percent (paper, section 5).

    A random forest on the per-sample loss is trained on retained samples (members) against validation samples
    (non-members): six forests, of 20, 50 and 100 trees with Gini and entropy, of which the one that calls
    most of F non-member is kept. That is a weak attacker, chosen on the very samples it is judged on, and it
    does not correct for there being more members than non-members: read it beside `balanced_attack`.

    Args:
        member_loss: (n,) finite losses of R.
        nonmember_loss: (n,) of validation.
        forget_loss: (n,) of F.
        seed: of the forests.
        n_jobs: CPU cores; the share does not depend on it.
    """
    train = np.concatenate([member_loss, nonmember_loss])[:, None]
    is_member = np.repeat([1, 0], [len(member_loss), len(nonmember_loss)])
    highest, forgotten = 0.0, np.float32(forget_loss[:, None])
    common = {"random_state": seed, "n_jobs": n_jobs}
    for criterion in CRITERIA:
        # With one random state the trees of a smaller forest are the first of a larger one: three in one.
        forest = RandomForestClassifier(max(FOREST_SIZES), criterion=criterion, **common)
        forest.fit(train, is_member)
        votes = np.stack([tree.predict_proba(forgotten) for tree in forest.estimators_])
        for size in FOREST_SIZES:
            # a forest averages probabilities and gives a tie to the first class: non-member
            highest = max(highest, float(np.mean(votes[:size].mean(axis=0).argmax(axis=1) == 0)))
    return 100 * highest


def balanced_attack(
    forget_loss: np.ndarray,
    nonmember_loss: np.ndarray,
    forget_group: np.ndarray,
    nonmember_group: np.ndarray,
    forget_source: np.ndarray | None = None,
    nonmember_source: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return (AUC, low, high) in percent: how well a low loss gives away F among non-members of the same
    groups.

    Non-members outside the forgotten groups are left out, and within each group the non-members weigh
    together as much as its forgotten samples: guessing scores 50, whatever the sizes and however hard the
    groups. The 95% interval is a bootstrap that resamples sources (all images of one glyph together), because
    they are what is independent.

    Args:
        forget_loss: (n,) finite losses of F.
        nonmember_loss: (m,) of samples that no model was trained on.
        forget_group: (n,) groups of F.
        nonmember_group: (m,) groups of the others.
        forget_source: (n,) what each sample of F was made from; None: every sample is its own.
        nonmember_source: (m,) likewise.
        n_bootstrap: draws.
        seed: of the draws.

    Raises:
        InputError: a forgotten group without non-members.
    """
    keep = np.isin(nonmember_group, forget_group)
    missing = np.setdiff1d(forget_group, nonmember_group)
    if len(missing):
        raise InputError(f"group {missing[0]} has no non-members to compare its forgotten samples with")
    loss = np.concatenate([forget_loss, nonmember_loss[keep]])
    group = np.concatenate([forget_group, nonmember_group[keep]])
    forgotten = np.arange(len(loss)) < len(forget_loss)
    n_groups = group.max() + 1
    n_forgotten = np.bincount(group[forgotten], minlength=n_groups)
    n_outside = np.bincount(group[~forgotten], minlength=n_groups)
    weight = np.where(forgotten, 1.0, n_forgotten[group] / np.maximum(n_outside[group], 1))
    values, rank = np.unique(loss, return_inverse=True)

    def auc(times):
        inside = np.bincount(rank, weight * times * forgotten, len(values))
        outside = np.bincount(rank, weight * times * ~forgotten, len(values))
        above = outside.sum() - np.cumsum(outside)  # non-members with a higher loss
        return 100 * (inside @ (above + outside / 2)) / max(inside.sum() * outside.sum(), 1e-12)

    sources = [
        np.arange(len(forget_loss)) if forget_source is None else forget_source,
        np.arange(len(nonmember_loss)) if nonmember_source is None else nonmember_source,
    ]
    clusters = [np.unique(source, return_inverse=True)[1] for source in (sources[0], sources[1][keep])]
    rng = stream(seed, "bootstrap")
    draws = []
    for _ in range(n_bootstrap):
        times = [rng.multinomial(c.max() + 1, np.full(c.max() + 1, 1 / (c.max() + 1)))[c] for c in clusters]
        draws.append(auc(np.concatenate(times)))
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(auc(np.ones(len(loss)))), float(low), float(high)
