"""Membership inference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

import gru_lite as gru
from gru_lite.scores.attacks import forest_votes


# Many equal losses; none; and many that are too close to be divided.
@pytest.mark.parametrize(
    "seed, unit, steps", [(0, 1, 4), (1, 1, 4), (2, 1, 10**6), (3, 3e-7, 10**9), (4, 1e-6, 10**8)]
)
def test_paper_attack_is_six_forests(seed, unit, steps):
    rng = np.random.default_rng(seed)
    member, outside, forget = (
        np.round(rng.exponential(scale, n) * unit * steps) / steps
        for scale, n in ((1, 60), (2, 40), (1.5, 30))
    )
    losses, label = np.concatenate([member, outside])[:, None], np.repeat([1, 0], [60, 40])
    shares = []
    for criterion in ("gini", "entropy"):
        for trees in (20, 50, 100):
            forest = RandomForestClassifier(trees, criterion=criterion, random_state=seed).fit(losses, label)
            shares.append(100 * np.mean(forest.predict(forget[:, None]) == 0))
    votes = np.stack([tree.predict_proba(np.float32(forget[:, None])).T for tree in forest.estimators_])
    np.testing.assert_allclose(forest_votes(member, outside, forget, seed, 100), votes, atol=1e-12)
    assert gru.paper_attack(member, outside, forget, seed) == max(shares)


def test_paper_attack_on_what_it_can_tell():
    low, high = np.linspace(0, 0.1, 50), np.linspace(5, 6, 50)
    assert gru.paper_attack(low, high, high[10:20] + 0.001) == 100
    assert gru.paper_attack(low, high, low[10:20] + 0.001) == 0


def groups(n, g=2):
    return np.full(n, g)


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=20), st.lists(st.integers(0, 6), min_size=2, max_size=20)
)
def test_one_group_is_the_usual_auc(inside, outside):
    inside, outside = np.array(inside, float), np.array(outside, float)
    expected = 100 * roc_auc_score(
        np.repeat([1, 0], [len(inside), len(outside)]), -np.concatenate([inside, outside])
    )
    auc, low, high = gru.balanced_attack(
        inside, outside, groups(len(inside)), groups(len(outside)), n_bootstrap=50
    )
    assert auc == pytest.approx(expected)
    assert 0 <= low <= high <= 100


def test_the_ends_of_the_scale():
    inside, outside = np.arange(10.0), np.arange(10.0) + 20
    assert gru.balanced_attack(inside, outside, groups(10), groups(10)) == (100, 100, 100)
    assert gru.balanced_attack(outside, inside, groups(10), groups(10)) == (0, 0, 0)
    assert gru.balanced_attack(np.ones(5), np.ones(9), groups(5), groups(9)) == (50, 50, 50)


def test_groups_weigh_as_much_outside_as_inside():
    """An easy and a hard group, in other proportions outside than inside.

    The weights take the difference out.
    """
    # F: three of group 0 with loss 1, one of group 1 with loss 5. Outside: one of group 0 (loss 1), two of
    # group 1 (loss 5), so their weights are 3 and 1/2. Pairs, weight times [1 lower, 1/2 equal, 0 higher]:
    # loss 1 (3 of them): 3 * 1/2 + 1 * 1 = 2.5 each; loss 5: 3 * 0 + 1 * 1/2 = .5; (7.5 + .5) / (4 * 4) = .5
    auc, _, _ = gru.balanced_attack(
        np.array([1.0, 1, 1, 5]), np.array([1.0, 5, 5]), np.array([0, 0, 0, 1]), np.array([0, 1, 1])
    )
    assert auc == pytest.approx(50)
    # Unweighted it would be (3 * (1/2 + 2) + 1/2 * 2) / 12 = 70.8


def test_non_members_of_other_groups_are_left_out():
    inside, outside = np.array([1.0, 2, 3]), np.array([2.0, 3, 4, -9, -9])
    alone = gru.balanced_attack(inside, outside[:3], groups(3), groups(3))
    assert gru.balanced_attack(inside, outside, groups(3), np.array([2, 2, 2, 0, 1])) == alone


def test_interval():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(0, 1, 80), rng.normal(0.5, 1, 120)
    auc, low, high = gru.balanced_attack(inside, outside, groups(80), groups(120))
    assert low < auc < high
    assert gru.balanced_attack(inside, outside, groups(80), groups(120)) == (auc, low, high)
    # the same samples as 16 and 24 sources of five: fewer independent ones, a wider interval around the same
    # value
    sources = np.arange(80) // 5, np.arange(120) // 5
    order = np.argsort(inside), np.argsort(outside)  # the samples of a source are alike
    clustered = gru.balanced_attack(inside[order[0]], outside[order[1]], groups(80), groups(120), *sources)
    assert clustered[0] == pytest.approx(auc) and clustered[2] - clustered[1] > 1.5 * (high - low)


def test_a_group_without_non_members():
    with pytest.raises(gru.InputError, match="group 3 has no non-members"):
        gru.balanced_attack(np.zeros(2), np.zeros(2), np.array([2, 3]), np.array([2, 2]))
