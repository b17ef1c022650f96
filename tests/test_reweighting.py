"""REWEIGHT: weights, effective sample size, and the two ways to sample."""

import numpy as np
import pytest
from gru_lite.reweighting import pass_length
from hypothesis import given
from hypothesis import strategies as st

import gru_lite as gru

# (n_D, n_R) of a few groups, none forgotten whole
GROUPS = st.lists(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))), min_size=1, max_size=5
)


def spread(counts):
    """(n_D, n_R) of groups -> the weight and the group of every retained sample, in a fixed random order."""
    n_train, n_retain = np.array(counts).T
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), n_retain))
    return gru.group_weights(n_train, n_retain)[group], group, n_train, n_retain


def test_weights_by_hand():
    # 10 / 5, 4 / 4, 3 / 1; an empty group of both has no samples and weight 0
    assert gru.group_weights([10, 4, 3, 0], [5, 4, 1, 0]).tolist() == [2, 1, 3, 0]


def test_reweight_follows_retain(dataset):
    # group 0: 4 train samples, indices 0 and 2 are forgotten, so 1 and 3 weigh 4 / 2; the two of group 1
    # weigh 1
    split = gru.forget_split(dataset([[4, 2]]), indices=[0, 2])
    assert split.retain.tolist() == [1, 3, 4, 5]
    assert gru.reweight(split).tolist() == [2, 2, 1, 1]


@given(GROUPS)
def test_weights_add_up_to_train(counts):
    weights, _, n_train, _ = spread(counts)
    assert weights.sum() == pytest.approx(n_train.sum())


@given(GROUPS)
def test_effective_sample_size_has_a_closed_form(counts):
    weights, _, n_train, n_retain = spread(counts)
    assert gru.effective_sample_size(weights) == pytest.approx(
        n_train.sum() ** 2 / (n_train**2 / n_retain).sum()
    )


def test_effective_sample_size_hides_the_group():
    """Waterbirds at r = .9: floor(.9 * 56) = 50 of the group are forgotten, 6 stay."""
    n_train, n_retain = np.array([3498, 184, 56, 1057]), np.array([3498, 184, 6, 1057])
    weights = np.repeat(gru.group_weights(n_train, n_retain), n_retain)
    # |D| = 4795; sum n_D^2 / n_R = 3498 + 184 + 56 * 56 / 6 + 1057 = 5261.67; 4795^2 / 5261.67 = 4369.7
    assert gru.effective_sample_size(weights) == pytest.approx(4369.7, abs=0.1)
    assert len(weights) == 4745


def test_effective_sample_size_by_hand():
    assert gru.effective_sample_size([1, 1, 1, 1]) == 4
    assert gru.effective_sample_size([2, 1, 1]) == pytest.approx(16 / 6)  # (2 + 1 + 1)^2 / (4 + 1 + 1)
    assert gru.effective_sample_size([5, 0]) == 1


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [1, np.nan], [np.inf], [[1, 1]]])
def test_weights_without_a_sample_size(weights):
    with pytest.raises(gru.InputError, match="weights"):
        gru.effective_sample_size(weights)


def test_draws_have_the_group_law_of_train():
    """One pass of 4,745 draws at Waterbirds' r = .9.

    Groups that remain scarce are drawn as often as before.
    """
    n_train, n_retain = np.array([3498, 184, 56, 1057]), np.array([3498, 184, 6, 1057])
    group = np.repeat(np.arange(4), n_retain)
    draws = gru.draw_pass(np.random.default_rng(0), 4745, gru.group_weights(n_train, n_retain)[group], group)
    assert len(draws) == 4745
    expected = 4745 * n_train / 4795
    chi_square = ((np.bincount(group[draws]) - expected) ** 2 / expected).sum()
    assert chi_square < 11.34  # the 99% point for 3 degrees of freedom


@given(st.integers(0, 100))
def test_replacement_never_draws_a_weight_of_zero(seed):
    draws = gru.draw_pass(np.random.default_rng(seed), 5, np.array([0, 1.0, 0, 3.0, 0]), np.zeros(5, int))
    assert set(draws) <= {1, 3}


def test_without_weights_a_pass_is_a_permutation():
    draws = gru.draw_pass(np.random.default_rng(0), 50)
    assert sorted(draws) == list(range(50)) and draws.tolist() != list(range(50))


@given(GROUPS, st.integers(0, 1000))
def test_top_up(counts, seed):
    weights, group, n_train, n_retain = spread(counts)
    draws = gru.draw_pass(np.random.default_rng(seed), len(group), weights, group, "top_up")
    times = np.bincount(draws, minlength=len(group))
    assert len(draws) == pass_length(len(group), weights, group, "top_up") == n_train.sum()
    assert times.min() >= 1
    for g, n in enumerate(n_train):
        assert times[group == g].sum() == n
        assert np.ptp(times[group == g]) <= 1


def test_top_up_needs_reweight_weights():
    with pytest.raises(gru.InputError, match="those of group 0 add up to 1, for 2 samples"):
        gru.draw_pass(np.random.default_rng(0), 2, np.array([0.5, 0.5]), np.zeros(2, int), "top_up")


def test_a_group_forgotten_whole():
    with pytest.raises(gru.InputError, match="group 1 is forgotten whole.*missing_group='renormalise'"):
        gru.group_weights([10, 4], [5, 0])
    # group 0 stands for all 14: 14 / 5; group 2 keeps its proportion to it
    assert gru.group_weights([10, 4], [5, 0], "renormalise").tolist() == pytest.approx([2.8, 0])
    weights = gru.group_weights([10, 4, 5], [5, 0, 5], "renormalise")
    assert weights.tolist() == pytest.approx([2 * 19 / 15, 0, 19 / 15])
    assert weights @ [5, 0, 5] == pytest.approx(19)


@pytest.mark.parametrize(
    "n_train, n_retain, culprit",
    [
        ([3, 3], [1], "one length"),
        ([[3]], [[1]], "one length"),
        ([-1, 3], [0, 1], "of D are not whole"),
        ([3], [1.5], "of R are not whole"),
        ([np.nan], [1], "of D"),
        ([3, 2], [3, 4], "group 1 has 4 retained samples but only 2"),
        ([3], [0], "nothing is retained"),
    ],
)
def test_counts_that_are_refused(n_train, n_retain, culprit):
    with pytest.raises(gru.InputError, match=culprit):
        gru.group_weights(n_train, n_retain)


def test_unknown_choice():
    with pytest.raises(gru.InputError, match="missing_group 'renormalize': did you mean 'renormalise'"):
        gru.group_weights([1], [1], "renormalize")
