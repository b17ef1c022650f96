"""Scores, and what several seeds allow one to say."""

import math
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fairlearn.metrics import equalized_odds_difference
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from refusals import accepted
from scipy import stats

import gru_lite as gru

# (y, s) and whether the prediction is right: (0,0) 2 of 2, (0,1) 1 of 2, (1,0) 0 of 1, (1,1) 3 of 4
TARGET = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
SENSITIVE = np.array([0, 0, 1, 1, 0, 1, 1, 1, 1])
CORRECT = np.array([1, 1, 1, 0, 0, 1, 1, 1, 0], bool)


def scores(**values):
    return SimpleNamespace(**values)


def test_accuracy_table_by_hand():
    assert gru.accuracy_table(CORRECT, TARGET, SENSITIVE).tolist() == [[100, 50], [0, 75]]
    wider = gru.accuracy_table(CORRECT, TARGET, SENSITIVE, 2, 3)
    np.testing.assert_array_equal(wider, [[100, 50, np.nan], [0, 75, np.nan]])


def test_equalized_odds_by_hand():
    # |100 - 50| = 50 for y = 0, |0 - 75| = 75 for y = 1
    assert gru.equalized_odds(CORRECT, TARGET, SENSITIVE) == 62.5
    assert gru.equalized_odds(CORRECT, TARGET, SENSITIVE, aggregate="worst") == 75


@settings(max_examples=15)  # fairlearn takes its time
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1), st.integers(0, 1)), max_size=40))
def test_equalized_odds_is_fairlearns(rows):
    rows += [(True, y, s) for y in (0, 1) for s in (0, 1)]  # fairlearn counts an empty group as a rate of 0
    correct, target, sensitive = np.array(rows).T
    prediction = np.where(correct == 1, target, 1 - target)
    for ours, theirs in (("mean", "mean"), ("worst", "worst_case")):
        got = gru.equalized_odds(correct, target, sensitive, aggregate=ours)
        expected = equalized_odds_difference(target, prediction, sensitive_features=sensitive, agg=theirs)
        assert got == pytest.approx(100 * expected, abs=1e-9)


def from_table(table):
    """Ten samples in each cell of a table of percentages."""
    cells = [(i < p // 10, y, s) for (y, s), p in np.ndenumerate(np.array(table)) for i in range(10)]
    return tuple(np.array(column) for column in zip(*cells))


def test_equalized_odds_of_three_by_three():
    data = from_table([[100, 90, 70], [50, 50, 50], [0, 10, 40]])
    # pairs of s: 10, 30, 20; 0, 0, 0; 10, 40, 30: nine differences that add up to 140
    assert gru.equalized_odds(*data) == pytest.approx(140 / 9)
    assert gru.equalized_odds(*data, aggregate="worst") == pytest.approx(40)


def test_the_papers_variant_collapses_to_two_by_two():
    data = from_table([[100, 90, 70], [50, 50, 50], [0, 10, 40]])
    # forgotten (2, 0). y = 2: s = 0 gives 0, the rest (10 + 40) / 2 = 25; y < 2: s = 0 gives (100 + 50) / 2 =
    # 75, the rest (90 + 70 + 50 + 50) / 4 = 65; mean of 25 and 10
    assert gru.equalized_odds(*data, variant="paper", groups=[(2, 0)]) == pytest.approx(17.5)
    # forgotten (2, 0) and (0, 1): y in {0, 2} and s in {0, 1}: (100 + 90 + 0 + 10) / 4 = 50 against (70 + 40)
    # / 2 = 55; y = 1: 50 against 50
    assert gru.equalized_odds(*data, variant="paper", groups=[(2, 0), (0, 1)]) == pytest.approx(2.5)


def test_equalized_odds_leaves_out_what_has_no_samples():
    correct, target, sensitive = (a[3:] for a in (CORRECT, TARGET, SENSITIVE))  # nothing is left of (0, 0)
    assert gru.equalized_odds(correct, target, sensitive) == 75
    assert np.isnan(gru.equalized_odds([1, 0], [0, 1], [0, 1]))


def test_equalized_odds_refuses():
    cases = [
        ([], [], [], "0, 0, 0 entries"),
        ([1], [0, 1], [0, 1], "1, 2, 2 entries"),
        (CORRECT, TARGET, SENSITIVE, "max", "aggregate 'max'"),
        (CORRECT, TARGET, SENSITIVE, "mean", "papers", "did you mean 'paper'"),
        (CORRECT, TARGET, SENSITIVE, "mean", "paper", "needs groups"),
    ]
    assert not accepted(gru.equalized_odds, cases)


def dataset_of(target, sensitive):
    features = np.zeros((len(target), 1), np.float32)
    return gru.GroupedDataset(target, sensitive, ("a", "b"), ("c", "d"), features=features)


@pytest.fixture(scope="module")
def toy():
    """Nine samples that are train, validation and test at once; logits are right where CORRECT says so."""
    data = dataset_of(TARGET, SENSITIVE)
    margin = np.where(CORRECT, 1.0, -1.0) * np.arange(1, 10)
    logits = np.zeros((9, 2), np.float32)
    logits[np.arange(9), TARGET] = margin
    return gru.DatasetParts("toy", data, data, data), gru.Predictions(logits, logits, logits)


def test_scores_by_hand(toy):
    bench, logits = toy
    split = gru.forget_split(bench.train, indices=[2, 3, 5])  # groups (0, 1) and (1, 1); right, wrong, right
    got = gru.score(logits, bench, split)
    # samples 0 1 4 6 7 8: right, right, wrong, right, right, wrong
    assert got.RA == pytest.approx(100 * 4 / 6)
    assert got.UA == pytest.approx(100 * 2 / 3)
    assert got.TA == pytest.approx(100 * 6 / 9)
    assert got.GA == pytest.approx(100 * 4 / 6)  # samples 2 3 5 6 7 8
    assert (got.EO, got.EO_worst, got.worst_group) == (62.5, 75, 0)
    # forgotten y: both, forgotten s: 1; so one row: s = 1 has 4 of 6, s = 0 has 2 of 3: equal
    assert got.EO_paper == pytest.approx(0)
    assert got.group_accuracy.tolist() == [[100, 50], [0, 75]]
    # the loss of a sample with margin m is log(1 + exp(-m)): the attacks see that and nothing else
    loss = np.log1p(np.exp(-np.where(CORRECT, 1.0, -1.0) * np.arange(1, 10)))
    assert got.MIA == gru.paper_attack(loss[split.retain], loss, loss[split.forget])
    auc = gru.balanced_attack(loss[split.forget], loss, split.group[split.forget], bench.val.group)
    assert (got.MIA_auc, got.MIA_auc_low, got.MIA_auc_high) == pytest.approx(auc)
    flat = got.flat()
    assert flat["acc_1_1"] == 75 and flat["RA"] == got.RA and "group_accuracy" not in flat
    again = gru.Scores.from_flat(flat | {"acc_0_1": np.nan})
    np.testing.assert_array_equal(again.group_accuracy, [[100, np.nan], [0, 75]])
    assert gru.Scores.from_flat(flat).flat() == flat


def test_outputs_that_are_not_finite(toy):
    bench, logits = toy
    split = gru.forget_split(bench.train, indices=[2])

    def score(part, value):
        broken = getattr(logits, part).copy()
        broken[7, 1] = value
        return gru.score(replace(logits, **{part: broken}), bench, split)

    parts, values = ("train", "val", "test"), (np.nan, np.inf, -np.inf)
    cases = [(part, value, f"first on {part} sample 7") for part in parts for value in values]
    assert not accepted(score, cases, gru.DivergedError)


def test_a_split_that_does_not_fit(toy, split):
    bench, logits = toy
    keep = bench.test.group != 0
    short = replace(bench, test=dataset_of(TARGET[keep], SENSITIVE[keep]))
    other = dataset_of(1 - TARGET, SENSITIVE)  # as many samples, in other groups
    cases = [
        (logits, bench, split, "split was made for other data: it has 200 samples, and train has 9"),
        (logits, bench, gru.forget_split(other, indices=[0]), "other data"),
        (
            replace(logits, test=logits.test[keep]),
            short,
            gru.forget_split(bench.train, indices=[0]),
            r"test has no sample of the forgotten groups \[\(0, 0\)\]",
        ),
    ]
    assert not accepted(gru.score, cases)


def test_every_sample_is_predicted_once(trained, bench, split):
    class Counting(type(trained)):
        seen = 0

        def forward(self, x):
            Counting.seen += len(x)
            return super().forward(x)

    counting = Counting(trained.backbone, trained.head)
    got = gru.score(counting, bench, split)
    assert Counting.seen == 200 + 80 + 120
    again = gru.score(gru.predictions(trained, bench), bench, split)
    assert got.flat() == again.flat()


def test_average_gap_and_tug_of_war_by_hand():
    reference = scores(RA=90, UA=60, TA=80, MIA=40, EO=20, GA=70)
    assert gru.average_gap(reference, reference) == gru.tug_of_war(reference, reference) == 100
    other = scores(RA=95, UA=50, TA=80, MIA=38, EO=29, GA=66)
    assert gru.average_gap(other, reference) == 95  # (5 + 10 + 0 + 2 + 9 + 4) / 6 = 5
    assert gru.tug_of_war(other, reference) == pytest.approx(85.5)  # .95 * .90 * 1


def test_doing_nothing_looks_perfect_on_the_papers_celeba():
    """Reported means at ratio .5: the original model is 99.8 from the reference, as near as any method."""
    names = ("RA", "UA", "TA", "MIA", "EO", "GA")
    pretrain = scores(**dict(zip(names, (84.6, 66.6, 82.8, 0.1, 20.9, 67.3))))
    reference = scores(**dict(zip(names, (84.5, 66.6, 82.4, 0.3, 20.8, 67.8))))
    # differences .1, 0, .4, .2, .1, .5: 1.3 / 6 = .217
    assert gru.average_gap(pretrain, reference) == pytest.approx(99.783, abs=0.001)
    table = gru.reported().query("dataset == 'celeba' and forget_ratio == 0.5 and method == 'Pretrain'")
    assert table[list(names)].to_numpy().tolist() == [[84.6, 66.6, 82.8, 0.1, 20.9, 67.3]]


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_mean_interval_is_scipys(values):
    mean, half = gru.mean_interval(values)
    assert mean == pytest.approx(np.mean(values))
    if np.ptp(values) > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high))


def test_mean_interval_by_hand():
    # mean 2, standard deviation 1, standard error 1 / sqrt 3; Student's 97.5% point for 2 degrees of freedom
    # is 4.30265
    assert gru.mean_interval([1, 2, 3]) == pytest.approx((2, 4.30265 / 3**0.5), rel=1e-5)
    mean, half = gru.mean_interval([7])
    assert mean == 7 and np.isnan(half)


def test_paired_test():
    first, second = [5.0, 6, 7, 9], [4.0, 6, 5, 6]
    mean, half, p = gru.paired_test(first, second)
    assert mean == 1.5 and p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert (p < 0.05) == (mean > half)
    assert gru.paired_test([2, 3], [2, 3]) == (0, 0, 1)
    assert gru.paired_test([3, 4], [2, 3]) == (1, 0, 0)
    assert np.isnan(gru.paired_test([1], [0])[1:]).all()


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04; never decreasing: .04 .06 .06 .06
    assert gru.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert gru.holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert gru.holm([0.03]) == pytest.approx([0.03])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p):
    corrected = gru.holm(p)
    assert (corrected >= p).all() and (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()


def test_equivalence_by_hand():
    """Differences -1, 0, 1, 2: mean .5, standard error .645, t with 3 degrees of freedom."""
    first, second = np.array([4.0, 6.0, 5.0, 7.0]), np.array([5.0, 6.0, 4.0, 5.0])
    error = math.sqrt(5 / 12)
    for margin in (0.2, 1.0, 3.0):
        mean, half, inside, outside = gru.equivalence_test(first, second, margin)
        assert mean == pytest.approx(0.5) and half == pytest.approx(2.353363 * error)
        assert inside == pytest.approx(stats.t.sf((margin - 0.5) / error, 3))
        assert outside == pytest.approx(min(1, 2 * stats.t.sf((0.5 - margin) / error, 3)))
        assert gru.equivalence_test(second, first, margin) == pytest.approx((-mean, half, inside, outside))
    assert gru.equivalence_test([1, 2], [1, 2]) == (0, 0, 0, 1)
    assert gru.equivalence_test([1, 2], [3, 4])[2:] == (1, 0)
    assert np.isnan(gru.equivalence_test([1], [2])[2:]).all()


@given(arrays(float, st.integers(3, 12), elements=st.floats(-5, 5)), st.floats(0.1, 5))
def test_equivalent_means_that_the_interval_lies_within_the_margin(values, margin):
    assume(np.ptp(values) > 1e-3)
    mean, half, inside, outside = gru.equivalence_test(values, np.zeros(len(values)), margin)
    if abs(abs(mean) + half - margin) > 1e-9:
        assert (inside < 0.05) == (abs(mean) + half < margin)
    assert inside > 0.5 or outside > 0.5  # never both


def test_a_family_of_paired_differences():
    """Each row is the test of one question; only p is corrected, and the power of the strictest step."""
    spread = np.arange(12.0) - 5.5
    spread /= spread.std(ddof=1)
    differences = {("a", 1): spread + 2, ("a", 2): spread, ("b", 1): spread + 0.72}  # t = 6.9, 0, 2.5
    family = gru.paired_tests(differences)
    for key, values in differences.items():
        assert tuple(family.loc[key, ["mean", "half", "p"]]) == gru.paired_test(values, 0 * values)
        assert family.loc[key, "smallest"] == gru.smallest_difference(values)
        assert family.loc[key, "smallest_holm"] == gru.smallest_difference(values, level=0.05 / 3)
    assert (family["p_holm"] == gru.holm(family["p"])).all() and (family["p_holm"] > family["p"]).any()
    assert list(family["verdict"]) == ["shown", "undecided", "undecided"]
    assert family.loc[("b", 1), "p"] < 0.05, "the correction made no difference in this example"
    assert gru.paired_tests({}).empty


def test_smallest_difference_is_the_textbooks():
    """Pairs that a paired t-test needs for 80% power at 5% (Cohen's d .2, .5, .8): 199, 34 and 15."""
    for effect, pairs in ((0.2, 199), (0.5, 34), (0.8, 15)):
        enough, one_less = (
            stats.zscore(np.arange(float(n)), ddof=1) for n in (pairs, pairs - 1)
        )  # standard deviation 1
        assert gru.smallest_difference(enough) < effect < gru.smallest_difference(one_less)
    assert gru.smallest_difference(3 * enough) == pytest.approx(3 * gru.smallest_difference(enough + 7))


def test_smallest_difference_is_found_as_often_as_it_says():
    for n, power, level in ((2, 0.8, 0.05), (3, 0.8, 0.05 / 12), (10, 0.5, 0.05), (10, 0.8, 0.05 / 12)):
        values = np.arange(float(n))
        true = gru.smallest_difference(values, power, level)
        draws = np.random.default_rng(0).normal(true, values.std(ddof=1), (20_000, n))
        found = np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < level)
        assert found == pytest.approx(power, abs=0.01), (n, power, level)


def test_smallest_difference_of_little():
    assert np.isnan(gru.smallest_difference([1.0])) and gru.smallest_difference([2.0, 2.0, 2.0]) == 0


def test_mean_reference_by_hand():
    one, two = (
        scores(RA=90, UA=60, TA=80, MIA=40, EO=20, GA=70),
        scores(RA=92, UA=50, TA=80, MIA=44, EO=30, GA=66),
    )
    mean = gru.mean_reference([one, two])
    assert vars(mean) == {"RA": 91, "UA": 55, "TA": 80, "MIA": 42, "EO": 25, "GA": 68}
    assert gru.average_gap(one, mean) == pytest.approx(100 - (1 + 5 + 0 + 2 + 5 + 2) / 6)


NO_OP, CEILING = np.array([75.0, 76, 74, 77]), np.array([96.0, 95, 97, 96])


def test_calibrated_gap():
    assert gru.calibrated_gap(NO_OP, NO_OP, CEILING) == (0, 0, 0)
    assert gru.calibrated_gap(CEILING, NO_OP, CEILING) == pytest.approx((100, 100, 100))
    # means 75.5, 96 and 85.75: halfway
    value, low, high = gru.calibrated_gap([85.0, 86, 87, 85], NO_OP, CEILING)
    assert value == pytest.approx(50) and low < 50 < high
    assert gru.calibrated_gap([85.0, 86, 87, 85], NO_OP, CEILING) == (value, low, high)
    # the ratio is of means, not the mean of ratios: (1 + 1) / (1 + 3)
    assert gru.calibrated_gap([1, 1], [0, 0], [2.9, 3.1])[0] == pytest.approx(100 / 3)


def test_calibrated_gap_is_not_available():
    """Where doing nothing cannot be told from perfection, or there is one seed."""
    for no_op, ceiling in (([75.0, 96, 85], [96.0, 75, 86]), ([90.0, 91], [90.0, 91]), ([75.0], [96.0])):
        assert np.isnan(gru.calibrated_gap(no_op, no_op, ceiling)).all()


def test_check_claim(capsys, monkeypatch):
    gru.check_claim("it helps", [2.0, 3, 4])
    # mean 3, sd 1, 4.30265 / sqrt 3 = 2.5
    assert capsys.readouterr().out == "holds: it helps: +3.0 [+0.5, +5.5], 3 seeds\n"
    # the last: mean .57, standard error .23, so more than two of them, and yet the interval of three values
    # (± 1.0) holds 0
    for values in ([-1.0, -2], [-1.0], [1.0, -0.9, 0.1], [1.0, 0.2, 0.5]):
        with pytest.raises(AssertionError, match="does not hold: it helps"):
            gru.check_claim("it helps", values)
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gru.check_claim("it helps", [-1.0])
    assert "does not hold here" in str(caught[0].message)
