"""Group labels that are missing or wrong: what is seen, inferred, and corrected for a known confusion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gru_lite as gru
from gru_lite import observed
from gru_lite.data.waterdigits import _edges, as_edges
from gru_lite.observed import MISSING, flips

# WaterDigits in expectation: 90% of the group (1, 0) are forgotten
BEFORE, AFTER = np.array([2100, 180, 180, 1540.0]), np.array([2100, 180, 18, 1540.0])


def seen_counts(counts, confusion):
    return (counts.reshape(-1, len(confusion)) @ confusion).ravel()


def people(n=4000, n_sensitive=2, seed=0):
    """A data set whose one feature is the sensitive attribute with a little noise."""
    rng = np.random.default_rng(seed)
    target, sensitive = rng.integers(0, 2, n), rng.integers(0, n_sensitive, n)
    features = (sensitive[:, None] + 0.1 * rng.standard_normal((n, 1))).astype(np.float32)
    names = tuple("abc"[:n_sensitive])
    return gru.GroupedDataset(target, sensitive, ("no", "yes"), names, features=features)


def test_flips_by_hand():
    assert flips(0.25).tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert np.allclose(flips(0.2, 3), [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])


def test_thirty_percent_of_flips_turn_a_weight_of_10_into_1_24():
    seen = [seen_counts(n, flips(0.3)) for n in (BEFORE, AFTER)]
    # 0.7 * 180 + 0.3 * 1540 = 588 are seen in the group before, 0.7 * 18 + 0.3 * 1540 = 474.6 after
    assert np.allclose([seen[0][2], seen[1][2]], [588, 474.6])
    assert round(seen[0][2] / seen[1][2], 2) == 1.24


def test_counts_are_estimated_by_hand():
    # C^T n = (0.9 * 18 + 0.1 * 1540, 0.1 * 18 + 0.9 * 1540)
    assert np.allclose(observed.true_counts([170.2, 1387.8], flips(0.1)), [18, 1540])
    assert observed.true_counts([100, 1458], flips(0.1))[0] < 0  # fewer than 10% of the others alone make


@given(st.floats(0, 0.4), st.lists(st.integers(1, 1000), min_size=4, max_size=4))
def test_expected_counts_are_undone(rate, counts):
    counts = np.array(counts, dtype=float)
    assert np.allclose(observed.true_counts(seen_counts(counts, flips(rate)), flips(rate)), counts, rtol=1e-6)


@given(st.floats(0, 0.085), st.floats(0, 0.085))
def test_corrected_weights_restore_the_true_groups(miss, leak):
    confusion = np.array([[1 - miss, miss], [leak, 1 - leak]])
    seen = [seen_counts(n, confusion) for n in (BEFORE, AFTER)]
    weights = observed.corrected_group_weights(*seen, confusion)
    assert (weights >= 0).all()
    drawn = AFTER.reshape(2, 2) * (weights.reshape(2, 2) @ confusion.T)  # expected draws of true groups
    assert np.allclose(drawn.ravel(), BEFORE, rtol=1e-5)


def test_weights_by_hand():
    # v = C^-1 (10, 1) with C^-1 = [[.95, -.05], [-.05, .95]] / .9
    seen = [seen_counts(n, flips(0.05)) for n in (BEFORE, AFTER)]
    weights = observed.corrected_group_weights(*seen, flips(0.05))
    assert np.allclose(weights, [1, 1, 9.45 / 0.9, 0.45 / 0.9])


def test_more_flips_than_one_in_eleven_cannot_be_undone():
    seen = [seen_counts(n, flips(0.3)) for n in (BEFORE, AFTER)]
    weights = observed.corrected_group_weights(*seen, flips(0.3))
    # nobody who is seen outside the group is drawn, and the target still is drawn 1,720 times
    assert weights[3] == 0 and np.isclose(weights[2], 1720 / 474.6)
    reached = (flips(0.3) @ weights[2:])[0]
    assert np.isclose(reached, 0.7 * 1720 / 474.6) and reached < 10


def test_an_estimated_count_below_1_is_refused_or_has_a_floor():
    # 48.44 are seen in the group after 2% of flips; 5% of the target alone are 77.9: (48.44 - 77.9) / 0.9 < 0
    seen = [seen_counts(n, flips(0.02)) for n in (BEFORE, AFTER)]
    assert np.isclose(observed.true_counts(seen[1], flips(0.05))[2], (48.44 - 77.9) / 0.9)
    with pytest.raises(gru.InputError, match=r"group 2 has an estimated -32\.7 retained samples.*floor=1"):
        observed.corrected_group_weights(*seen, flips(0.05))
    weights = observed.corrected_group_weights(*seen, flips(0.05), floor=1)
    assert weights[3] == 0 and np.isclose(weights[2], 1720 / 48.44)
    with pytest.raises(gru.InputError, match="floor 0 must be above 0"):
        observed.corrected_group_weights(*seen, flips(0.05), floor=0)
    # a group that D lacks, too, isn't lost
    assert np.allclose(
        observed.corrected_group_weights([20, 10, 30, 0], [20, 5, 30, 0], np.eye(2)), [1, 2, 1, 1]
    )


def test_without_noise_the_correction_is_reweight():
    train = people()
    split = gru.forget_split(train, [(1, 0)], 0.8)
    weights = observed.corrected_reweight(split, np.eye(2))
    assert np.allclose(weights, gru.reweight(split))


def test_corrected_draws_by_simulation():
    train, confusion = people(n_sensitive=3), flips(0.05, 3)
    split = gru.forget_split(train, [(1, 2)], 0.8)
    shares = []
    for seed in range(40):
        request = gru.forget_split(observed.observe(train, confusion, seed), indices=split.forget)
        weights = observed.corrected_reweight(request, confusion)
        shares.append(weights[split.group[split.retain] == 5].sum() / weights.sum())
    wanted = split.n_train[5] / len(train)
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - wanted) < 5 * error < 0.3 * wanted


def test_seen_labels_follow_the_matrix_and_the_seed():
    train = people()
    confusion = np.array([[0.9, 0.1], [0.3, 0.7]])
    seen = observed.observe(train, confusion, 1)
    again = observed.observe(train, confusion, 1)
    assert (seen.sensitive == again.sensitive).all() and (seen.target == train.target).all()
    assert seen.features is train.features and not (seen.group == train.group).all()
    for s in (0, 1):
        share = np.mean(seen.sensitive[train.sensitive == s])
        assert abs(share - confusion[s, 1]) < 5 * np.sqrt(0.25 / 1900)
    assert (observed.observe(train, np.eye(2)).sensitive == train.sensitive).all()
    wrong = [observed.observe(train, flips(rate), 1).sensitive != train.sensitive for rate in (0.1, 0.3)]
    assert wrong[1][wrong[0]].all() and wrong[1].sum() > wrong[0].sum()


def test_hidden_labels():
    sensitive = np.arange(200) % 2
    few, many = (observed.hide(sensitive, share, 3) for share in (0.1, 0.5))
    assert ((few != MISSING).sum(), (many != MISSING).sum()) == (20, 100)
    assert (few[few != MISSING] == sensitive[few != MISSING]).all()
    assert (many[few != MISSING] != MISSING).all()  # the smaller share is part of the larger
    assert (observed.hide(sensitive, 0) == MISSING).all()


def test_what_a_feature_shows_is_inferred():
    train = people()
    known = observed.hide(train.sensitive, 0.05)
    guess = observed.infer(train.features, train.target, known, 2)
    assert (guess == train.sensitive).all() and guess.dtype == np.int64
    nothing = np.full(len(train), MISSING)
    clusters = observed.infer(train.features, train.target, nothing, 2)
    for y in (0, 1):  # the larger cluster of a target is number 0, whatever its value
        members = train.target == y
        larger = np.bincount(train.sensitive[members]).argmax()
        assert ((clusters[members] == 0) == (train.sensitive[members] == larger)).all()


def test_known_labels_are_kept():
    train = people(100)
    wrong = 1 - train.sensitive
    known = observed.hide(wrong, 0.5)
    guess = observed.infer(train.features, train.target, known, 2)
    assert (guess[known != MISSING] == wrong[known != MISSING]).all()
    assert (observed.infer(train.features, train.target, wrong, 2) == wrong).all()


@pytest.mark.parametrize(
    "matrix, message",
    [
        ([[0.9, 0.1], [0.4, 0.9]], r"row 1 of the confusion matrix adds up to 1\.3, not to 1"),
        ([[0.9, 0.3], [0.1, 0.7]], "its columns do: give the transpose"),
        ([[1.1, -0.1], [0, 1]], r"row 0 of the confusion matrix is \[1\.1, -0\.1\]: give probabilities"),
        ([[1, 0], [float("nan"), 1]], "row 1 of the confusion matrix is"),
        ([[1.0, 0.0]], r"has shape \(1, 2\), and must be square"),
        ("flips", "is not a square table of numbers"),
    ],
)
def test_a_matrix_that_is_none(matrix, message):
    with pytest.raises(gru.InputError, match=message):
        observed.true_counts([10, 20], matrix)


def test_other_mistakes_are_named():
    train = people(100)
    nothing = np.full(100, MISSING)
    mistakes = [
        (lambda: observed.observe(train, flips(0.1, 3)), r"has shape \(3, 3\), and must be \(2, 2\)"),
        (lambda: observed.true_counts([10, 20], flips(0.5)), "cannot be undone"),
        (lambda: observed.true_counts([10, 20, 30], flips(0.1)), "2 for each target"),
        (lambda: flips(1.5), "flip rate 1.5 is outside"),
        (lambda: flips(0.1, 1), "there must be 2 or more"),
        (lambda: observed.hide(train.sensitive, 2), "share 2 is outside"),
        (lambda: observed.infer(train.features[:9], train.target, nothing, 2), "have 9, 100 and 100 entries"),
        (lambda: observed.infer(train.features, train.target, nothing + 3, 2), "sensitive must be 0 to 1"),
    ]
    for wrong, message in mistakes:
        with pytest.raises(gru.InputError, match=message):
            wrong()
    one_value = np.where(np.arange(100) < 5, 0, MISSING)
    with pytest.raises(gru.InputError, match="all 5 known labels are 0"):
        observed.infer(train.features, train.target, one_value, 2)


def test_what_infer_refuses():
    x, y, s = np.ones((4, 2)), np.array([0, 0, 1, 1]), np.array([0, 1, MISSING, MISSING])
    cases = [
        (np.ones(4), y, s, "a table of finite numbers"),
        (x * np.nan, y, s, "a table of finite numbers"),
        (x, y, np.array([0.7, 1, -1, -1]), "whole numbers, not 0.7"),
        (x, np.array([0, 1, 1, 1]), np.full(4, MISSING), "target 0 has 1 samples, too few for 2"),
    ]
    for features, target, sensitive, said in cases:
        with pytest.raises(gru.InputError, match=said):
            observed.infer(features, target, sensitive, 2)
    assert observed.infer(x, y, s.astype(float), 2, gru.further_seed(1, 1)).dtype == np.int64


def test_edges_of_a_picture_by_hand():
    bench = gru.load("waterdigits_small")
    made = as_edges(bench)
    assert made.train.features.shape == (480, 131) and made.name == "waterdigits_small_edges"
    assert (made.test.sensitive == bench.test.sensitive).all()
    assert np.allclose(made.train.features.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(made.train.features.std(axis=0), 1, atol=1e-3)
    # Left half black, right half white: the grey values beside columns 15 and 16 differ by 1, so cells of the
    # columns 12-15 and 16-19 have one edge in four pixels of a row. Nothing changes from row to row.
    picture = np.zeros((1, 3, 32, 32), np.uint8)
    picture[..., 16:] = 255
    across, down, colour = np.split(_edges(picture)[0], [64, 128])
    assert np.allclose(across.reshape(8, 8), np.tile([0, 0, 0, 0.25, 0.25, 0, 0, 0], (8, 1)), atol=1e-6)
    assert np.allclose(down, 0) and np.allclose(colour, 0.5)
    with pytest.raises(gru.InputError, match="waterdigits_small_edges has no pictures of 32 x 32 pixels"):
        as_edges(made)
