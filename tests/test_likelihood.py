"""The likelihood-ratio attack and its rates, against closed forms; and trainings of many models at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

import gru_lite as gru
from gru_lite.scores import attack_rates
from gru_lite.train.ensemble import fit_many


def halves(n_models, n_samples, rng):
    """Which samples each model has: models 2k and 2k + 1 have complementary halves."""
    first = rng.random((n_models // 2, n_samples)) < 0.5
    return np.stack([first, ~first], axis=1).reshape(n_models, n_samples), np.arange(n_models) // 2


def test_logit_confidence_by_hand():
    logits = np.log([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])
    expected = [np.log(0.5 / 0.5), np.log(0.2 / 0.8)]
    np.testing.assert_allclose(gru.logit_confidence(logits, np.array([2, 1])), expected)
    # a confidence that rounds to 1 has a logit all the same
    assert gru.logit_confidence(np.array([[80.0, -20.0]]), np.array([0]))[0] == 100


def test_the_ratio_by_hand():
    """One sample: each model is attacked with the Gaussians of the 19 others."""
    rng = np.random.default_rng(0)
    member = np.repeat([True, False], 10)[:, None]
    values = rng.normal(0, 1, (20, 1)) + 2 * member
    got = gru.likelihood_ratio_attack(values, member)
    for model in range(20):
        rest = np.arange(20) != model
        laws = [values[rest & (member[:, 0] == kind), 0] for kind in (True, False)]
        inside, outside = (stats.norm(x.mean(), x.std(ddof=1)).logpdf(values[model, 0]) for x in laws)
        assert got[model, 0] == pytest.approx(inside - outside)


def test_a_cluster_is_left_out_together():
    rng = np.random.default_rng(1)
    member, pair = halves(24, 5, rng)
    values = rng.normal(0, 1, member.shape)
    before = gru.likelihood_ratio_attack(values, member, cluster=pair)
    changed = values.copy()
    changed[1] += 100  # of the first pair
    after = gru.likelihood_ratio_attack(changed, member, cluster=pair)
    np.testing.assert_allclose(before[0], after[0], rtol=1e-9, atol=1e-9)
    assert not np.allclose(before[2:], after[2:])


def test_two_gaussians_have_the_rate_of_the_closed_form():
    """Members are N(d, 1), the others N(0, 1), so TPR at FPR f is Phi(d - z), z the 1 - f quantile."""
    rng, d = np.random.default_rng(2), 1.5
    member, pair = halves(400, 100, rng)
    score = rng.normal(0, 1, member.shape) + d * member
    for fpr in (0.01, 0.05):
        expected = 100 * stats.norm.cdf(d - stats.norm.ppf(1 - fpr))
        value, low, high = gru.tpr_at_fpr(score, member, fpr, cluster=pair, n_bootstrap=200)
        assert low < value < high and abs(value - expected) < 4 * (high - low) / 3.92
        attack = gru.likelihood_ratio_attack(score, member, cluster=pair)
        # the attack estimates 400 Gaussians from 199 numbers each
        assert gru.tpr_at_fpr(attack, member, fpr, cluster=pair, n_bootstrap=9)[0] == pytest.approx(
            expected, rel=0.15
        )


def test_samples_of_their_own_difficulty():
    """What one threshold on the confidence can't see: each sample has another mean."""
    rng = np.random.default_rng(3)
    member, pair = halves(200, 100, rng)
    values = rng.normal(0, 1, member.shape) + 2 * member + rng.normal(0, 20, 100)
    plain = gru.tpr_at_fpr(values, member, 0.01, cluster=pair, n_bootstrap=9)[0]
    attack = gru.likelihood_ratio_attack(values, member, cluster=pair)
    assert plain < 5 < 30 < gru.tpr_at_fpr(attack, member, 0.01, cluster=pair, n_bootstrap=9)[0]


def test_equal_distributions_are_chance():
    found, auc = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        member, pair = halves(100, 60, rng)
        attack = gru.likelihood_ratio_attack(rng.normal(0, 3, member.shape), member, cluster=pair)
        rates = attack_rates(attack, member, (0.01,), cluster=pair, n_bootstrap=1)
        found.append(rates[0, 0])
        auc.append(rates[0, 1])
    # 3000 members each: the standard error of a rate of 1% is 0.26 with its threshold, that of the AUC 0.53
    assert abs(np.mean(found) - 1) < 4 * 0.26 / np.sqrt(10) and abs(np.mean(auc) - 50) < 4 * 0.53 / np.sqrt(
        10
    )


def test_the_interval_is_about_models():
    """Models that are off as a whole: twice the samples hardly make the interval narrower."""
    rng = np.random.default_rng(4)
    off = rng.normal(0, 1, (100, 1))
    member, pair = halves(100, 200, rng)
    score = rng.normal(0, 0.3, member.shape) + off + member
    widths = []
    for n in (50, 200):
        part = (score[:, :n], member[:, :n], 0.05)
        _, low, high = gru.tpr_at_fpr(*part, cluster=pair, n_bootstrap=400)
        widths.append(high - low)
    assert widths[1] > 0.8 * widths[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_only_the_order_of_scores_counts(seed, levels):
    """Ties included: equal scores are called alike."""
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, (40, 30)).astype(float)
    member, pair = halves(40, 30, rng)
    rates = attack_rates(score, member, (0.05, 0.3), cluster=pair, n_bootstrap=5)
    np.testing.assert_allclose(
        attack_rates(np.exp(3 * score), member, (0.05, 0.3), cluster=pair, n_bootstrap=5), rates
    )
    assert rates[0, 2] == pytest.approx(100 * roc_auc_score(member.ravel(), score.ravel()))
    best = 0.0
    for threshold in range(levels):
        called = score >= threshold
        if called[~member].mean() <= 0.3:
            best = max(best, called[member].mean())
    assert rates[0, 1] == pytest.approx(100 * best)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-100, 100))
def test_the_scale_of_a_sample_does_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    member, pair = halves(60, 3, rng)
    values = rng.normal(0, 1, member.shape) + member
    plain = gru.likelihood_ratio_attack(values, member, cluster=pair)
    scaled = gru.likelihood_ratio_attack(scale * values + shift, member, cluster=pair)
    np.testing.assert_allclose(scaled, plain, rtol=1e-6, atol=1e-6)


def test_entries_that_take_no_part():
    rng = np.random.default_rng(5)
    member, pair = halves(60, 4, rng)
    values = rng.normal(0, 1, member.shape)
    used = np.ones_like(member)
    used[:, 3] = False
    values[:, 3] = np.nan
    got = gru.likelihood_ratio_attack(values, member, used, pair)
    assert np.isnan(got[:, 3]).all()
    np.testing.assert_array_equal(
        got[:, :3], gru.likelihood_ratio_attack(values[:, :3], member[:, :3], cluster=pair)
    )


def test_rates_of_entries_that_take_no_part():
    score, member = few()
    used = np.ones_like(member)
    used[:, 15:] = False
    changed = score.copy()
    changed[:, 15:] = np.nan
    rates = attack_rates(changed, member, (0.1,), used=used, n_bootstrap=3)
    np.testing.assert_allclose(rates, attack_rates(score[:, :15], member[:, :15], (0.1,), n_bootstrap=3))


def test_samples_of_one_source_are_drawn_together():
    """One source of two gives everything away: resampling the sources makes the interval wide."""
    rng = np.random.default_rng(7)
    member, pair = halves(60, 20, rng)
    source = np.repeat([3, 8], 10)
    score = rng.normal(0, 1, member.shape) + 10 * member * (source == 8)
    given = {"cluster": pair, "n_bootstrap": 200}
    value, low, high = gru.tpr_at_fpr(score, member, 0.05, **given)
    assert high - low < 20
    _, wide_low, wide_high = gru.tpr_at_fpr(score, member, 0.05, source=source, **given)
    assert wide_low < 20 and wide_high > 95 and wide_low < value < wide_high


def test_the_offered_fpr_is_accepted():
    score, member = few()
    with pytest.raises(gru.InputError, match="or an fpr of") as refused:
        gru.tpr_at_fpr(score, member, 0.001)
    offered = float(str(refused.value).rsplit(" ", 1)[1])
    gru.tpr_at_fpr(score, member, offered, n_bootstrap=2)


@pytest.mark.parametrize(
    "logits, target, message",
    [
        (np.zeros((3, 1)), [0, 0, 0], r"logits have shape \(3, 1\)"),
        (np.zeros((3, 2)), [0, 1], "target: give 3 whole numbers from 0 to 1"),
        (np.zeros((3, 2)), [0, 1, -1], "target: give 3 whole numbers from 0 to 1"),
        (np.array([[0, 1], [np.nan, 0]]), [0, 1], "logits of sample 1 are not finite"),
    ],
)
def test_bad_input_of_the_confidence(logits, target, message):
    with pytest.raises(gru.InputError, match=message):
        gru.logit_confidence(logits, target)


def few(n_models=60, n_samples=20):
    rng = np.random.default_rng(6)
    member, _ = halves(n_models, n_samples, rng)
    return rng.normal(0, 1, member.shape), member


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v, m: (v[0], m[0]), r"confidence has shape \(20,\): give \(models, samples\)"),
        (lambda v, m: (v, m[:, 1:]), r"member is bool \(60, 19\): give booleans of the shape of confidence"),
        (lambda v, m: (v, m.astype(int)), "member is int64"),
        (lambda v, m: (v, m | True), "there are no non-members"),
        (lambda v, m: (v, m & False), "there are no members"),
        (lambda v, m: (np.where(m, v, np.inf), m), "is inf: not finite"),
        (
            lambda v, m: (v[:14], m[:14]),
            "shadow models of .*members, besides those attacked: its Gaussian needs 8",
        ),
        (lambda v, m: (np.where(m, v, 1.0), m), "are the same in all shadow models of non-members"),
        (lambda v, m: (v, m, None, np.arange(3)), r"cluster has shape \(3,\) for 60 models"),
    ],
)
def test_bad_input_of_the_attack(change, message):
    with pytest.raises(gru.InputError, match=message):
        gru.likelihood_ratio_attack(*change(*few()))


@pytest.mark.parametrize(
    "models, fpr, options, message",
    [
        (60, 0, {}, "fpr 0 is not a number between 0 and 1"),
        (60, 0.001, {}, r"non-members are too few for fpr 0.001: it needs 10000, that is 1\d\d\d models"),
        (8, 0.2, {}, "8 clusters of models are too few for an interval: it needs 20, that is 20 models"),
        (60, 0.1, {"cluster": np.arange(60) // 6}, "10 clusters .* it needs 20, that is 120 models"),
        (60, 0.1, {"n_bootstrap": 0}, "n_bootstrap is 0: an interval needs 1 draw or more"),
        (60, 0.1, {"source": np.arange(3)}, r"source has shape \(3,\) for 20 samples"),
    ],
)
def test_bad_input_of_the_rates(models, fpr, options, message):
    score, member = few()
    with pytest.raises(gru.InputError, match=message):
        gru.tpr_at_fpr(score[:models], member[:models], fpr, **options)


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (80, 5)).astype(np.float32)
    target = (features[:, 0] > 0).astype(int)
    return gru.GroupedDataset(target, rng.integers(0, 2, 80), ("a", "b"), ("c", "d"), features=features)


def starts(n):
    return [gru.build_model("mlp", 2, k, n_features=5) for k in range(n)]


def test_many_trainings_are_those_of_fit(records):
    config = gru.TrainConfig(shift=0, epochs=3, batch_size=16)
    rng = np.random.default_rng(1)
    lists = [np.sort(rng.permutation(80)[:50]) for _ in range(3)]
    weights = [rng.uniform(0.5, 4, 50) for _ in range(3)]
    for of in (None, weights):
        models = starts(3)
        many = fit_many(models, records, indices=lists, weights=of, seeds=[4, 5, 6], config=config)
        for k, seed in enumerate((4, 5, 6)):
            alone = {"indices": lists[k], "weights": None if of is None else of[k]}
            one = gru.fit(models[k], records, **alone, config=config, seed=seed)
            for a, b in zip(many[k].parameters(), one.parameters(), strict=True):
                assert a.requires_grad and torch.allclose(a, b, atol=1e-4)
            before = gru.build_model("mlp", 2, k, n_features=5)
            for a, b in zip(models[k].parameters(), before.parameters(), strict=True):
                assert torch.equal(a, b), "what goes in is never changed"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"seeds": [1]}, "there are 1 seeds for 2 models"),
        ({"indices": [np.arange(50), np.arange(60)]}, "from 50 to 60 samples: fit_many needs equal numbers"),
        ({"config": gru.TrainConfig(optimizer="adamw")}, "fit_many trains with SGD"),
    ],
)
def test_bad_input_of_many_trainings(records, change, message):
    given = {"indices": [np.arange(50)] * 2, "seeds": [0, 1]} | change
    with pytest.raises(gru.InputError, match=message):
        fit_many(starts(2), records, **given)


def test_no_models(records):
    with pytest.raises(gru.InputError, match="there are no models"):
        fit_many([], records, indices=[], seeds=[])


def test_images_and_batchnorm_are_for_fit(records):
    bench = gru.load("waterdigits_small")
    with pytest.raises(gru.InputError, match="trains on features: take fit"):
        fit_many(starts(1), bench.train, indices=[np.arange(50)], seeds=[0])
    backbone = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4))
    model = gru.Classifier(backbone, torch.nn.Linear(4, 2))
    with pytest.raises(gru.InputError, match="without BatchNorm"):
        fit_many([model], records, indices=[np.arange(50)], seeds=[0])


def test_a_training_that_diverges(records):
    config = gru.TrainConfig(shift=0, epochs=6, batch_size=16, lr=1e9)
    with pytest.raises(gru.DivergedError, match="the training of model 0 diverged: lower lr"):
        fit_many(starts(2), records, indices=[np.arange(50)] * 2, seeds=[0, 1], config=config)
