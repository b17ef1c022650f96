"""Membership inference: can an attacker tell from a sample's loss alone that the model was trained on it?"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..seeding import stream

FOREST_SIZES = (20, 50, 100)
CLOSE = np.float32(1e-7)  # scikit-learn's trees don't divide two values that are this close


def paper_attack(
    member_loss: np.ndarray, nonmember_loss: np.ndarray, forget_loss: np.ndarray, seed: int = 0, n_jobs: int = 1
) -> float:
    """Return the share of F that the paper's attacker calls "not a member", in percent (paper, section 5).

    A random forest on the per-sample loss is trained on retained samples (members) against validation samples
    (non-members): six forests, of 20, 50 and 100 trees with Gini and entropy, of which the one that calls
    most of F non-member is kept. That is a weak attacker, chosen on the very samples it is judged on, and it
    does not correct for there being more members than non-members: read it beside `balanced_attack`.

    No tree is grown. A full tree of one number finds the nearest loss that its bootstrap has drawn, whatever
    its criterion, so six forests are three. The share is that of scikit-learn's forests, and is there a
    hundred times sooner.

    Args:
        member_loss: (n,) finite losses of R.
        nonmember_loss: (n,) of validation.
        forget_loss: (n,) of F.
        seed: integer >= 0 of the forests.
    """
    votes = forest_votes(member_loss, nonmember_loss, forget_loss, seed, max(FOREST_SIZES))
    # With one random state the trees of a smaller forest are the first of a larger one. A forest averages
    # shares, and gives a tie to the first class: non-member.
    shares = [votes[:size].mean(axis=0) for size in FOREST_SIZES]
    return 100 * max(float(np.mean(outside >= member)) for outside, member in shares)


def forest_votes(
    member_loss: np.ndarray, nonmember_loss: np.ndarray, asked: np.ndarray, seed: int, n_trees: int
) -> np.ndarray:
    """Return what RandomForestClassifier(n_trees, random_state=seed), fitted to tell members' losses from
    non-members', says of other losses, tree by tree: (n_trees, 2, n) shares of non-members and members.
    """
    loss = np.concatenate([member_loss, nonmember_loss]).astype(np.float32)
    order = np.argsort(loss, kind="stable")
    loss, is_outside = loss[order], order >= len(member_loss)
    forest, votes = np.random.RandomState(seed), []
    for _ in range(n_trees):
        tree = np.random.RandomState(forest.randint(np.iinfo(np.int32).max))
        times = np.bincount(tree.randint(0, len(loss), len(loss), dtype=np.int32), minlength=len(loss))[order]
        drawn = np.flatnonzero(times)
        values, times, outside = loss[drawn], times[drawn], is_outside[drawn]
        # A leaf holds the losses that are too close to be divided; it ends halfway to the next.
        first = np.flatnonzero(np.r_[True, values[1:] > values[:-1] + CLOSE])
        counts = np.add.reduceat(np.stack([times * outside, times * ~outside]), first, axis=1)
        ends = values[first[1:] - 1].astype(float) / 2 + values[first[1:]].astype(float) / 2
        votes.append((counts / counts.sum(axis=0))[:, np.searchsorted(ends, np.float32(asked))])
    return np.stack(votes)


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
