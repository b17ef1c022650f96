"""Groups and forget requests."""

import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gru_lite as gru
from gru_lite.errors import check_choice
from gru_lite.groups import parse_group, parse_ratio


def of_size(n):
    """Two groups: (0, 0) with n samples and (1, 0) with 3."""
    return gru.GroupedDataset(
        np.repeat([0, 1], [n, 3]),
        np.zeros(n + 3, int),
        ("a", "b"),
        ("c",),
        features=np.zeros((n + 3, 1), np.float32),
    )


def test_group_ids_count_sensitive_first():
    # g = y * S + s with S = 3: (0, 2) -> 2, (1, 0) -> 3, (2, 1) -> 7
    ids = gru.group_ids([0, 1, 2], [2, 0, 1], 3)
    assert ids.tolist() == [2, 3, 7] and ids.dtype == np.int64


@pytest.mark.parametrize(
    "ratio, n, expected",
    [
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
    ],
)
def test_floor_is_exact(ratio, n, expected):
    assert len(gru.forget_split(of_size(n), [(0, 0)], ratio).forget) == expected


@given(st.integers(1, 300), st.integers(1, 10_000))
def test_floor_is_exact_for_every_decimal(n, ten_thousandths):
    ratio = Decimal(ten_thousandths) / 10_000
    expected = int(ratio * n)  # Decimal arithmetic is exact here
    assume(expected > 0)
    assert len(gru.forget_split(of_size(n), [(0, 0)], float(ratio)).forget) == expected


def test_a_split_partitions_train(bench, split):
    assert sorted([*split.forget, *split.retain]) == split.train.tolist() == list(range(200))
    assert (np.diff(split.forget) > 0).all() and (np.diff(split.retain) > 0).all()
    assert (bench.train.group[split.forget] == 2).all() and split.groups == ((1, 0),)
    assert split.n_train.tolist() == [70, 30, 30, 70]
    assert split.n_retain.tolist() == [70, 30, 15, 70]
    assert split.forget.dtype == split.retain.dtype == split.train.dtype == np.int64


@given(st.integers(0, 2**31), st.integers(10, 60), st.integers(1, 9), st.integers(1, 9))
def test_smaller_ratios_are_nested(seed, n, first, second):
    small, large = sorted((first, second))
    inner, outer = (gru.forget_split(of_size(n), [(0, 0)], r / 10, seed).forget for r in (small, large))
    assert set(inner) <= set(outer)


def test_the_seed_alone_decides(bench):
    draw = [gru.forget_split(bench.train, [(0, 0)], 0.5, seed).forget for seed in (3, 3, 4)]
    assert np.array_equal(draw[0], draw[1]) and not np.array_equal(draw[0], draw[2])


def test_every_sample_is_equally_likely():
    # 4,000 draws of 5 out of 10: each sample 2,000 times, standard deviation sqrt(4000 / 4) = 31.6; five of
    # them
    times = sum(
        np.bincount(gru.forget_split(of_size(10), [(0, 0)], 0.5, seed).forget, minlength=13)
        for seed in range(4000)
    )
    assert (np.abs(times[:10] - 2000) < 158).all() and not times[10:].any()


def test_groups_are_drawn_one_by_one(bench):
    """What one group loses does not depend on which others are asked for, nor on their order."""
    both = gru.forget_split(bench.train, [(1, 0), (0, 0)], 0.5, 1)
    other = gru.forget_split(bench.train, [(0, 0), (1, 0)], 0.5, 1)
    single = gru.forget_split(bench.train, [(0, 0)], 0.5, 1)
    assert np.array_equal(both.forget, other.forget)
    assert np.array_equal(both.forget[bench.train.group[both.forget] == 0], single.forget)
    assert both.n_retain.tolist() == [35, 30, 15, 70]  # floor of each group's own size


def test_the_floor_is_of_each_group_not_of_their_sum(dataset):
    split = gru.forget_split(dataset([[5, 5], [5, 5]]), [(0, 0), (0, 1), (1, 1)], 0.5)
    assert len(split.forget) == 6  # 3 * floor(2.5); pooled it would be floor(7.5) = 7


def test_explicit_indices(dataset):
    split = gru.forget_split(dataset([[3, 2], [2, 2]]), indices=[8, 0, 1])
    assert split.forget.tolist() == [0, 1, 8] and split.retain.tolist() == [2, 3, 4, 5, 6, 7]
    assert split.groups == ((0, 0), (1, 1)) and split.n_retain.tolist() == [1, 2, 2, 1]


@pytest.mark.parametrize(
    "group",
    [
        (1, 0),
        ("1", "0"),
        "1,0",
        " 1 , 0 ",
        "cat,land",
        ("cat", "land"),
        ("cat", 0),
        "1,land",
        [1, 0],
        np.array([1, 0]),
    ],
)
def test_a_group_has_names_and_numbers(group):
    assert parse_group(group, ("dog", "cat"), ("land", "water")) == (1, 0)


@pytest.mark.parametrize(
    "ratio", [0, 0.0, -0.5, 1.5, "0", float("nan"), float("inf"), "half", "", "0,5", None, True, False, [0.5]]
)
def test_ratios_that_are_refused(ratio, bench):
    with pytest.raises(gru.InputError, match="ratio"):
        gru.forget_split(bench.train, [(1, 0)], ratio)


def test_ratio_is_read_as_written():
    assert parse_ratio(0.1) * 10 == 1
    assert parse_ratio("1e-1") == parse_ratio(".10")


@pytest.mark.parametrize(
    "groups, culprit",
    [
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
    ],
)
def test_groups_that_are_refused(groups, culprit, bench):
    with pytest.raises(gru.InputError, match=culprit):
        gru.forget_split(bench.train, groups, 0.5)


def test_an_empty_group_cannot_be_forgotten(dataset):
    with pytest.raises(gru.InputError, match=r"\(0, 1\) \(t0 on s1\) is empty"):
        gru.forget_split(dataset([[3, 0], [3, 3]]), [(0, 1)], 0.5)


@given(st.integers(2, 5000))
def test_a_request_for_nothing_names_a_ratio_that_works(n):
    data = of_size(n)
    with pytest.raises(gru.InputError) as caught:
        gru.forget_split(data, [(0, 0)], str(Decimal(1) / (n + 1)))
    assert "group (0, 0) (a on c)" in str(caught.value)
    suggested = re.search(r"smallest ratio that works is ([\d.]+)$", str(caught.value))[1]
    assert len(gru.forget_split(data, [(0, 0)], suggested).forget) == 1
    assert Decimal(suggested) <= Decimal("1.01") / n  # it is the smallest, but for its rounding


@pytest.mark.parametrize(
    "indices, culprit",
    [
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
    ],
)
def test_indices_that_are_refused(indices, culprit, bench):
    with pytest.raises(gru.InputError, match=culprit):
        gru.forget_split(bench.train, indices=indices)


def test_indices_or_groups_not_both(bench):
    with pytest.raises(gru.InputError, match="not both"):
        gru.forget_split(bench.train, [(1, 0)], 0.5, indices=[0])
    with pytest.raises(gru.InputError, match="needs groups and a ratio"):
        gru.forget_split(bench.train, [(1, 0)])


def test_everything_forgotten(dataset):
    with pytest.raises(gru.InputError, match="forgets every train sample"):
        gru.forget_split(dataset([[3, 2]]), [(0, 0), (0, 1)], 1)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_seeds_that_are_refused(seed, bench):
    with pytest.raises(gru.InputError, match="seed"):
        gru.forget_split(bench.train, [(1, 0)], 0.5, seed)


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(gru.InputError, match="unknown fruit 'aple': did you mean 'apple'"):
        check_choice("aple", ("pear", "apple"), "fruit")
