"""Groups, forget requests and REWEIGHT: weights, effective sample size, and the two ways to sample."""

import itertools
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from refusals import accepted
from scipy import stats

import gru_lite as gru
from gru_lite.errors import check_choice
from gru_lite.groups import group_ids, parse_group, parse_ratio, pass_length

# (n_D, n_R) of a few groups, none forgotten whole
GROUPS = st.lists(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))), min_size=1, max_size=5
)


def of_size(n):
    """Two groups: (0, 0) with n samples and (1, 0) with 3."""
    target, features = np.repeat([0, 1], [n, 3]), np.zeros((n + 3, 1), np.float32)
    return gru.GroupedDataset(target, np.zeros(n + 3, int), ("a", "b"), ("c",), features=features)


def forget(data, ratio, seed=0):
    return gru.forget_split(data, [(0, 0)], ratio, seed).forget


def test_group_ids_count_sensitive_first():
    # g = y * S + s with S = 3: (0, 2) -> 2, (1, 0) -> 3, (2, 1) -> 7
    ids = group_ids([0, 1, 2], [2, 0, 1], 3)
    assert ids.tolist() == [2, 3, 7] and ids.dtype == np.int64


def test_floor_is_exact():
    cases = [
        (0.29, 100, 29),  # in binary floating point 0.29 * 100 is 28.999999999999996
        ("0.29", 100, 29),
        (0.7, 10, 7),
        (0.1, 10, 1),
        (0.57, 100, 57),  # 56.99999999999999
        (0.5, 7, 3),
        (0.999, 10, 9),
        (1, 10, 10),
        (1.0, 10, 10),
        (np.float64(0.29), 100, 29),
        (np.float32(0.3), 10, 3),
        (Decimal("0.29"), 100, 29),
    ]
    assert [(ratio, n, len(forget(of_size(n), ratio))) for ratio, n, _ in cases] == cases
    assert parse_ratio(0.1) * 10 == 1 and parse_ratio("1e-1") == parse_ratio(".10")  # read as written


@given(st.integers(1, 300), st.integers(1, 10_000))
def test_floor_is_exact_for_every_decimal(n, ten_thousandths):
    ratio = Decimal(ten_thousandths) / 10_000
    expected = int(ratio * n)  # Decimal arithmetic is exact here
    assume(expected > 0)
    assert len(forget(of_size(n), float(ratio))) == expected


def test_a_split_partitions_train(bench, split):
    assert sorted([*split.forget, *split.retain]) == split.train.tolist() == list(range(200))
    assert (np.diff(split.forget) > 0).all() and (np.diff(split.retain) > 0).all()
    assert (bench.train.group[split.forget] == 2).all() and split.groups == ((1, 0),)
    assert split.n_train.tolist() == [70, 30, 30, 70]
    assert split.n_retain.tolist() == [70, 30, 15, 70]
    assert split.forget.dtype == split.retain.dtype == split.train.dtype == np.int64


def test_each_group_may_have_a_ratio_of_its_own(dataset):
    """5 of 10, 1 of 10 and none of the third: by hand; the same samples as requests of one group each."""
    data, groups = dataset([[10, 10], [10, 3]]), [(0, 0), (1, 0)]
    for ratios in ([0.5, "0.1"], ("1/2", 0.1), np.array([0.5, 0.1]), pd.Series([0.5, 0.1], [7, 8])):
        split = gru.forget_split(data, groups, ratios, 4)
        assert split.n_retain.tolist() == [5, 10, 9, 3]
    swapped = gru.forget_split(data, groups[::-1], [0.1, 0.5], 4)
    assert swapped.groups == ((1, 0), (0, 0)) and np.array_equal(swapped.forget, split.forget)
    alone = [gru.forget_split(data, [group], ratio, 4).forget for group, ratio in zip(groups, (0.5, 0.1))]
    assert np.array_equal(split.forget, np.sort(np.concatenate(alone)))
    with pytest.raises(gru.InputError, match="3 ratios for 2 groups: give one ratio, or one for each"):
        gru.forget_split(data, groups, [0.5, 0.1, 0.1])
    with pytest.raises(gru.InputError, match=r"ratio 0.1 of group \(1, 1\) .* the smallest ratio"):
        gru.forget_split(data, [(0, 0), (1, 1)], [0.5, 0.1])
    for ratio in (0, 1.5, float("nan"), None, [0.5]):
        with pytest.raises(gru.InputError, match=r"^group \(1, 0\): ratio .* give (a|the) share"):
            gru.forget_split(data, groups, [0.5, ratio])
    with pytest.raises(gru.InputError, match=r"group \(0, 0\) is named twice"):
        gru.forget_split(data, [(0, 0), (0, 0)], [0.5, 0.1])
    everyone = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert gru.forget_split(data, everyone, [0.5, 1, 1, 1]).n_retain.tolist() == [5, 0, 0, 0]
    with pytest.raises(gru.InputError, match="nothing is left to retain"):
        gru.forget_split(data, everyone, [1] * 4)


def test_one_ratio_in_an_array_without_dimensions(dataset):
    data = dataset([[10, 10], [10, 3]])
    assert gru.forget_split(data, [(0, 0), (1, 0)], np.array(0.5)).n_retain.tolist() == [5, 10, 5, 3]


@given(st.integers(0, 2**31), st.integers(10, 60), st.integers(1, 9), st.integers(1, 9))
def test_smaller_ratios_are_nested(seed, n, first, second):
    small, large = sorted((first, second))
    inner, outer = (forget(of_size(n), ratio / 10, seed) for ratio in (small, large))
    assert set(inner) <= set(outer)


def test_the_seed_alone_decides(bench):
    draw = [forget(bench.train, 0.5, seed) for seed in (3, 3, 4)]
    assert np.array_equal(draw[0], draw[1]) and not np.array_equal(draw[0], draw[2])


def test_every_sample_is_equally_likely():
    # 1,000 draws of 5 out of 10: each sample 500 times, within five standard deviations of sqrt(1000 / 4)
    data = of_size(10)
    times = sum(np.bincount(forget(data, 0.5, seed), minlength=13) for seed in range(1000))
    assert (np.abs(times[:10] - 500) < 79).all() and not times[10:].any()


def test_groups_are_drawn_one_by_one(bench):
    """What one group loses does not depend on which others are asked for, nor on their order."""
    both = gru.forget_split(bench.train, [(1, 0), (0, 0)], 0.5, 1)
    other = gru.forget_split(bench.train, [(0, 0), (1, 0)], 0.5, 1)
    assert np.array_equal(both.forget, other.forget)
    assert np.array_equal(both.forget[bench.train.group[both.forget] == 0], forget(bench.train, 0.5, 1))
    assert both.n_retain.tolist() == [35, 30, 15, 70]  # floor of each group's own size


def test_the_floor_is_of_each_group_not_of_their_sum(dataset):
    split = gru.forget_split(dataset([[5, 5], [5, 5]]), [(0, 0), (0, 1), (1, 1)], 0.5)
    assert len(split.forget) == 6  # 3 * floor(2.5); pooled it would be floor(7.5) = 7


def test_explicit_indices(dataset):
    split = gru.forget_split(dataset([[3, 2], [2, 2]]), indices=[8, 0, 1])
    assert split.forget.tolist() == [0, 1, 8] and split.retain.tolist() == [2, 3, 4, 5, 6, 7]
    assert split.groups == ((0, 0), (1, 1)) and split.n_retain.tolist() == [1, 2, 2, 1]


def test_a_group_has_names_and_numbers():
    texts = ("1,0", " 1 , 0 ", "cat,land", "1,land")
    pairs = ((1, 0), ("1", "0"), ("cat", "land"), ("cat", 0), [1, 0], np.array([1, 0]))
    assert {parse_group(group, ("dog", "cat"), ("land", "water")) for group in (*texts, *pairs)} == {(1, 0)}


# What is refused


def test_ratios_that_are_refused(bench):
    ratios = [0, 0.0, -0.5, 1.5, "0", float("nan"), float("inf"), "half", "", "0,5", None, True, False]
    ratios += [[2], [0.5] * 2, [], [[0.5]], {"1,0": 0.5}]
    assert not accepted(lambda ratio: forget(bench.train, ratio), [(ratio, "ratio") for ratio in ratios])


def test_groups_that_are_refused(bench, dataset):
    cases = [
        ([(2, 0)], r"there is no target 2; choose from 0 \(no hole\), 1 \(hole\)"),
        ([(0, 5)], "there is no sensitive 5"),
        ([(-1, 0)], "there is no target -1"),
        ([(1.0, 0)], "there is no target 1.0"),
        ([("hole", "sea")], "there is no sensitive 'sea'"),
        ([(1, 0), (1, 0)], r"\(1, 0\) is named twice"),
        (["1,0", "hole,land"], r"\(1, 0\) is named twice"),
        ([(1, 0, 0)], "not a pair"),
        ([1], "not a pair"),
        (["1"], "not a pair"),
        ((1, 0), "not a list of pairs"),
        ("1,0", "not a list of pairs"),
        (3, "not a list of pairs"),
        ([], "groups is empty"),
        (None, "needs groups and a ratio"),
    ]
    assert not accepted(lambda groups: gru.forget_split(bench.train, groups, 0.5), cases)
    cases = [
        (dataset([[3, 0], [3, 3]]), [(0, 1)], 0.5, r"\(0, 1\) \(t0 on s1\) is empty"),
        (dataset([[3, 2]]), [(0, 0), (0, 1)], 1, "forgets every train sample"),
        (bench.train, [(1, 0)], None, "needs groups and a ratio"),
        *((bench.train, [(1, 0)], 0.5, seed, "seed") for seed in (-1, 0.5, "0", None, True)),
        (bench.train, [(1, 0)], 0.5, 0, [0], "not both"),
    ]
    assert not accepted(gru.forget_split, cases)


def test_indices_that_are_refused(bench):
    cases = [
        ([], "empty"),
        (np.zeros(0, int), "empty"),
        ([200], "sample 200 .* 0 to 199"),
        ([-1], "sample -1 "),
        ([3, 1, 3], "sample 3 is listed 2 times"),
        ([0.0], "float64, not whole numbers"),
        ([True, False], "bool, not whole numbers"),
        (["1"], "not whole numbers"),
        (5, "one-dimensional"),
        ([[1, 2]], "one-dimensional"),
        ([[1], [1, 2]], "one-dimensional"),
        ([10**30], "not whole numbers"),
        (range(200), "forgets every train sample"),
    ]
    assert not accepted(lambda indices: gru.forget_split(bench.train, indices=indices), cases)


@given(st.integers(2, 5000))
def test_a_request_for_nothing_names_a_ratio_that_works(n):
    data = of_size(n)
    with pytest.raises(gru.InputError) as caught:
        forget(data, str(Decimal(1) / (n + 1)))
    assert "group (0, 0) (a on c)" in str(caught.value)
    suggested = re.search(r"smallest ratio that works is ([\d.]+)$", str(caught.value))[1]
    assert len(forget(data, suggested)) == 1
    assert Decimal(suggested) <= Decimal("1.01") / n  # it is the smallest, but for its rounding


def test_a_wrong_name_is_answered_with_the_nearest():
    cases = [("aple", ("pear", "apple"), "fruit", "unknown fruit 'aple': did you mean 'apple'")]
    assert not accepted(check_choice, cases)


# Weights


def spread(counts):
    """(n_D, n_R) of groups -> the weight and the group of every retained sample, in a fixed random order."""
    n_train, n_retain = np.array(counts).T
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), n_retain))
    return gru.group_weights(n_train, n_retain)[group], group, n_train, n_retain


def test_weights_by_hand():
    # 10 / 5, 4 / 4, 3 / 1; an empty group of both has no samples and weight 0
    assert gru.group_weights([10, 4, 3, 0], [5, 4, 1, 0]).tolist() == [2, 1, 3, 0]


def test_reweight_follows_retain(dataset):
    # group 0: 0 and 2 of its 4 train samples are forgotten, so 1 and 3 weigh 4 / 2; those of group 1 weigh 1
    split = gru.forget_split(dataset([[4, 2]]), indices=[0, 2])
    assert split.retain.tolist() == [1, 3, 4, 5]
    assert gru.reweight(split).tolist() == [2, 2, 1, 1]


@given(GROUPS)
def test_weights_and_their_effective_sample_size(counts):
    """They add up to the size of train; the effective sample size has a closed form."""
    weights, _, n_train, n_retain = spread(counts)
    assert weights.sum() == pytest.approx(n_train.sum())
    closed = n_train.sum() ** 2 / (n_train**2 / n_retain).sum()
    assert gru.effective_sample_size(weights) == pytest.approx(closed)


# Waterbirds at r = .9: floor(.9 * 56) = 50 of the group are forgotten, 6 stay
N_TRAIN, N_RETAIN = np.array([3498, 184, 56, 1057]), np.array([3498, 184, 6, 1057])


def test_effective_sample_size_hides_the_group():
    weights = np.repeat(gru.group_weights(N_TRAIN, N_RETAIN), N_RETAIN)
    # |D| = 4795; sum n_D^2 / n_R = 3498 + 184 + 56 * 56 / 6 + 1057 = 5261.67; 4795^2 / 5261.67 = 4369.7
    assert gru.effective_sample_size(weights) == pytest.approx(4369.7, abs=0.1)
    assert len(weights) == 4745


def test_effective_sample_size_by_hand():
    assert gru.effective_sample_size([1, 1, 1, 1]) == 4
    assert gru.effective_sample_size([2, 1, 1]) == pytest.approx(16 / 6)  # (2 + 1 + 1)^2 / (4 + 1 + 1)
    assert gru.effective_sample_size([5, 0]) == 1


def test_a_group_forgotten_whole():
    # group 0 stands for all 14: 14 / 5; group 2 keeps its proportion to it
    assert gru.group_weights([10, 4], [5, 0], "renormalise").tolist() == pytest.approx([2.8, 0])
    weights = gru.group_weights([10, 4, 5], [5, 0, 5], "renormalise")
    assert weights.tolist() == pytest.approx([2 * 19 / 15, 0, 19 / 15])
    assert weights @ [5, 0, 5] == pytest.approx(19)


def test_counts_and_weights_that_are_refused():
    cases = [
        ([3, 3], [1], "one length"),
        ([[3]], [[1]], "one length"),
        ([-1, 3], [0, 1], "of D are not whole"),
        ([3], [1.5], "of R are not whole"),
        ([np.nan], [1], "of D"),
        ([3, 2], [3, 4], "group 1 has 4 retained samples but only 2"),
        ([3], [0], "nothing is retained"),
        ([10, 4], [5, 0], "group 1 is forgotten whole.*missing_group='renormalise'"),
        ([1], [1], "renormalize", "missing_group 'renormalize': did you mean 'renormalise'"),
    ]
    assert not accepted(gru.group_weights, cases)
    weights = [[], [0, 0], [1, -1], [1, np.nan], [np.inf], [[1, 1]]]
    assert not accepted(gru.effective_sample_size, [(values, "weights") for values in weights])


# How far a request can move a group's mean


def test_request_bound_by_hand():
    # 2 of 4 stay: V = (2 / 3)^2 + (2 / 2)^2 = 13 / 9. At delta = 2 / e, log(2 / delta) = 1, so the bound
    # is sqrt(13 / 18) / 2 = .4249. 1 of 2 stays: sqrt(1 / 2) = .71, but no draw is further off than 1 / 2.
    bounds = gru.request_bound([4, 2, 3, 0], [2, 1, 3, 0], delta=2 / np.e)
    assert bounds == pytest.approx([0.424918, 0.5, 0, np.nan], abs=1e-6, nan_ok=True)
    assert gru.request_bound([4], [2], width=10, delta=2 / np.e) == pytest.approx([4.24918], abs=1e-5)


@pytest.mark.parametrize("delta", [0.5, 0.2, 0.05])
def test_request_bound_against_all_requests(delta):
    """Of all ways to keep n of 10 samples, whatever their values, a share of delta at most is further off."""
    cases = [np.arange(10) == 0, np.arange(10) < 5, np.arange(10) / 9, np.linspace(0, 1, 10) ** 4]
    for values, kept in itertools.product(cases, range(1, 10)):
        stay = np.array(list(itertools.combinations(range(10), kept)))
        off = abs(values[stay].mean(axis=1) - values.mean())
        (bound,) = gru.request_bound([10], [kept], delta=delta)
        assert (off > bound + 1e-12).mean() <= delta
        assert off.max() <= (10 - kept) / 10 + 1e-12


def test_request_bound_where_errors_are_counted():
    """How many errors stay is hypergeometric: the tail is below delta for every number of errors."""
    for n, kept in [(180, 18), (180, 90), (56, 6), (600, 60)]:
        (bound,) = gru.request_bound([n], [kept])
        errors, stay = np.arange(n + 1)[:, None], np.arange(kept + 1)
        far = abs(stay / kept - errors / n) > bound + 1e-12
        tail = (stats.hypergeom.pmf(stay, n, errors, kept) * far).sum(axis=1)
        assert tail.max() <= 0.05 and far.any()


@given(st.integers(2, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_request_bound_is_not_above_serflings(counts):
    n, kept = counts
    (bound,) = gru.request_bound([n], [kept])
    serfling = np.sqrt((1 - (kept - 1) / n) * np.log(2 / 0.05) / (2 * kept))
    assert bound <= serfling * (1 + 1e-9) and bound <= 1 - kept / n + 1e-12


def test_bounds_that_are_refused():
    cases = [
        ([3], [4], 1, 0.05, "4 retained samples but only 3"),
        ([3, 3], [0, 3], 1, 0.05, "group 0 is forgotten whole: none of its 3 samples is left to compare"),
        ([0], [0], 1, 0.05, "nothing is retained"),
        ([3], [2], "a", 0.05, "width 'a' is not"),
        ([3], [2], 0, 0.05, "width 0 is not a finite number above 0"),
        ([3], [2], np.nan, 0.05, "width nan"),
        ([3], [2], 1, 0, r"delta 0 is outside \(0, 1\)"),
        ([3], [2], 1, 1.5, "delta 1.5"),
    ]
    assert not accepted(gru.request_bound, cases)


# Draws


def test_draws_have_the_group_law_of_train():
    """One pass of 4,745 draws at Waterbirds' r = .9: what is scarce now is drawn as often as before."""
    group = np.repeat(np.arange(4), N_RETAIN)
    draws = gru.draw_pass(np.random.default_rng(0), 4745, gru.group_weights(N_TRAIN, N_RETAIN)[group], group)
    assert len(draws) == 4745
    expected = 4745 * N_TRAIN / 4795
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
    few = (np.random.default_rng(0), 2, np.array([0.5, 0.5]), np.zeros(2, int), "top_up")
    assert not accepted(gru.draw_pass, [(*few, "those of group 0 add up to 1, for 2 samples")])
