"""Critics, the Donsker-Varadhan bound, and estimates of I(Z; G) where the truth is known."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import accepted
from scipy.special import logsumexp

import gru_lite as gru
from gru_lite.information import (
    Critic,
    MovingAverage,
    donsker_varadhan,
    normalised,
    sampled_bound,
    sampled_terms,
)

SKEWED = np.array([0.5, 0.05, 0.05, 0.4])
ESTIMATORS = ("mine", "classifier", "smile")


@st.composite
def tables(draw):
    """(table, group, p): T of a few samples with every group; some groups can have probability 0."""
    n, k, seed = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k)) * (rng.random(k) < 0.7)
    p = p / p.sum() if p.sum() else np.eye(k)[0]
    group = rng.choice(k, n, p=p)
    return torch.tensor(rng.normal(0, draw(st.sampled_from([0.1, 1, 5])), (n, k))), torch.tensor(group), p


def log(p):
    return torch.tensor(p, dtype=torch.float32).log()


def entropy(p):
    return -sum(q * math.log(q) for q in p if q)


# The critic


def test_critic_is_one_hidden_layer_on_z_and_one_hot_g():
    critic = Critic(5, 3, hidden=7)
    z, g = torch.randn(11, 5), torch.randint(0, 3, (11,))
    by_hand = critic.last(critic.first(torch.cat([z, torch.eye(3)[g]], dim=1)).relu()).squeeze(1)
    assert torch.allclose(critic(z, g), by_hand, atol=1e-6)
    table = critic.table(z)
    for other in range(3):
        assert torch.allclose(table[:, other], critic(z, torch.full((11,), other)), atol=1e-6)
    assert Critic(5, 3).first.out_features == 512


def test_initial_weights_depend_on_the_seed_alone_and_leave_torch_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Critic(4, 2, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = Critic(4, 2, seed=5), Critic(4, 2, seed=6)
    assert torch.equal(first.first.weight, again.first.weight) and not torch.equal(
        first.first.weight, other.first.weight
    )


def test_critic_stays_in_float32_inside_autocast():
    critic, z, g = Critic(4, 2), torch.randn(6, 4), torch.zeros(6, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert critic(z, g).dtype == torch.float32 and torch.equal(critic(z, g), critic(z, g))
        inside = critic.table(z)
    assert torch.equal(inside, critic.table(z))
    assert critic.table(z.double()).dtype == critic.table(z.bfloat16()).dtype == torch.float32


# The bound


@given(tables())
def test_donsker_varadhan_is_the_sum_over_samples_and_groups(case):
    table, group, p = case
    n = len(table)
    joint = sum(float(table[i, group[i]]) for i in range(n)) / n
    marginal = sum(p[g] * math.exp(table[i, g]) for i in range(n) for g in range(len(p))) / n
    assert donsker_varadhan(table, group, log(p)).item() == pytest.approx(
        joint - math.log(marginal), abs=1e-4
    )


@given(tables(), st.floats(-50, 50))
def test_a_constant_in_T_changes_nothing(case, constant):
    table, group, p = case
    bound = donsker_varadhan(table, group, log(p)).item()
    assert donsker_varadhan(table + constant, group, log(p)).item() == pytest.approx(bound, abs=1e-3)


@given(tables())
def test_normalised_rows_never_loosen_the_bound_and_make_it_the_classifiers(case):
    table, group, p = case
    better = normalised(table, log(p))
    assert torch.allclose(
        (better + log(p)).exp().sum(1), torch.ones(len(table), dtype=better.dtype), atol=1e-4
    )
    bound = donsker_varadhan(better, group, log(p)).item()
    assert bound >= donsker_varadhan(table, group, log(p)).item() - 1e-4
    q = torch.softmax(table + log(p), dim=1)  # q(g | z); H(G) here is the cross-entropy of the sample with p
    expected = np.mean([math.log(q[i, g]) - math.log(p[g]) for i, g in enumerate(group.tolist())])
    assert bound == pytest.approx(expected, abs=1e-4)


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(0, 1000),
)
def test_no_critic_gets_above_the_information_of_a_finite_law(counts, seed):
    """A law of counts / total: the bound of any T is at most I, that of the log density ratio is I."""
    counts = np.array(counts)
    if not counts.any():
        counts[0, 0] = 1
    z, g = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    law = counts / counts.sum()
    product = law.sum(1, keepdims=True) * law.sum(0)
    ratio = np.log(law, out=np.full(law.shape, -30.0), where=law > 0) - np.log(
        product, out=np.zeros(law.shape), where=product > 0
    )
    information = float((law * ratio).sum())

    def bound(critic):
        return donsker_varadhan(torch.tensor(critic)[z], torch.tensor(g), log(law.sum(0))).item()

    assert bound(ratio) == pytest.approx(information, abs=1e-4)
    assert bound(np.random.default_rng(seed).normal(0, 2, law.shape)) <= information + 1e-4


def test_a_group_of_probability_0_gives_no_nan():
    for value in (0.0, 1e4, math.inf):
        table = torch.tensor([[0.3, -0.2, value], [0.1, 0.4, value]], requires_grad=True)
        group = torch.tensor([0, 1])
        bound = donsker_varadhan(table, group, log([0.5, 0.5, 0]))
        bound.backward()
        assert bound.item() == pytest.approx(donsker_varadhan(table[:, :2], group, log([0.5, 0.5])).item())
        assert table.grad.isfinite().all() and (table.grad[:, 2] == 0).all()


def test_large_values_do_not_overflow():
    table, group = torch.tensor([[1e4, 0.0], [0.0, 1e4]]), torch.tensor([0, 1])
    # both samples have exp(1e4) / 2 in the mean of the marginal: 1e4 - (1e4 - log 2)
    assert donsker_varadhan(table, group, log([0.5, 0.5])).item() == pytest.approx(math.log(2), abs=1e-2)
    values = torch.tensor([1e4, 1e4])
    assert sampled_bound(values, values).item() == pytest.approx(0, abs=1e-2)


@given(tables())
def test_sampled_bound(case):
    table, group, p = case
    joint = table.gather(1, group[:, None])[:, 0]
    other = torch.arange(len(table)) % len(p)
    marginal = table.gather(1, other[:, None])[:, 0]
    expected = joint.mean().item() - (logsumexp(marginal.numpy()) - math.log(len(table)))
    assert sampled_bound(joint, marginal).item() == pytest.approx(expected, abs=1e-4)
    # every group once for each sample is the exact sum with a uniform law
    uniform = log(np.full(len(p), 1 / len(p)))
    assert sampled_bound(joint, table.flatten()).item() == pytest.approx(
        donsker_varadhan(table, group, uniform).item(), abs=1e-4
    )


def gradient(loss, *inputs):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, inputs)])


def test_moving_average_keeps_the_value_and_corrects_the_gradient():
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(2, 8, generator=generator, requires_grad=True) for _ in range(3)]
    average, denominator = MovingAverage(rate=0.1), None
    for batch in batches:
        joint, log_marginal = sampled_terms(*batch)
        loss = average.loss(joint, log_marginal)
        assert loss.item() == pytest.approx(-sampled_bound(*batch).item(), abs=1e-6)
        now = batch[1].exp().mean().item()
        denominator = now if denominator is None else 0.9 * denominator + 0.1 * now
        by_hand = batch[1].exp().mean() / denominator - batch[0].mean()
        assert torch.allclose(gradient(loss, batch), gradient(by_hand, batch), atol=1e-6)
    plain = MovingAverage(rate=1)
    for batch in batches:
        assert torch.allclose(
            gradient(plain.loss(*sampled_terms(*batch)), batch),
            -gradient(sampled_bound(*batch), batch),
            atol=1e-6,
        )


def test_linear_moving_average_by_hand():
    """As released: m = .99 m + .01 E[exp T]; gradient E[exp T grad T] / (m + 1e-18); inf at T = 95."""
    average, mean = MovingAverage(linear=True), None
    for values in ([0.0, 1.0], [2.0, -1.0], [-45.0, -44.0]):
        t = torch.tensor(values, requires_grad=True)
        newest = t.detach().exp().mean()
        mean = newest if mean is None else 0.01 * newest + 0.99 * mean
        loss = average.loss(*sampled_terms(torch.zeros(2), t))
        assert loss.item() == pytest.approx(newest.log().item(), rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, t)
        torch.testing.assert_close(gradient, t.detach().exp() / 2 / (mean + 1e-18))
    alone, t = MovingAverage(linear=True), torch.tensor([-50.0, -50.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(alone.loss(*sampled_terms(torch.zeros(2), t)), t)
    share = math.exp(-50) / (math.exp(-50) + 1e-18)  # .0002: exp(-50) is 2e-22
    torch.testing.assert_close(gradient, torch.full((2,), share / 2))
    for value in (85.0, 95.0):
        t = torch.tensor([value, 0.0], requires_grad=True)
        (gradient,) = torch.autograd.grad(MovingAverage(linear=True).loss(*sampled_terms(t, t)), t)
        assert gradient.isfinite().all() == (value < 89)


def test_moving_average_does_not_overflow():
    average = MovingAverage()
    for size in (1e4, -1e4, 2e4):
        marginal = torch.full((4,), size, requires_grad=True)
        loss = average.loss(*sampled_terms(torch.zeros(4), marginal))
        (slope,) = torch.autograd.grad(loss, marginal)
        assert loss.isfinite() and slope.isfinite().all() and slope.sum() <= 1 / 0.01 + 1e-3


# Estimates where the truth is known


# A third of the default's steps. Most critics are best before that; then the estimate is the default's.
few_steps = functools.partial(gru.mutual_information, steps=150)


def overlap(m, n, seed):
    """g uniform on m values, z uniform on [g, g + 2], and I.

    Log m, less log 2 wherever two groups overlap.
    """
    rng = np.random.default_rng([seed, m])
    g = rng.integers(0, m, n)
    return (g + 2 * rng.random(n))[:, None], g, math.log(m) - (m - 1) / m * math.log(2)


def mixture(p, strength, d, n, seed):
    """z given g ~ N(strength * e_g, identity) turned at random, in d dimensions, and I by 200,000 draws.

    The draws need only the coordinates in which the means differ: the others are noise.
    """
    rng = np.random.default_rng([seed, d, n])
    k = len(p)
    means = strength * (np.eye(k) if d >= k else np.linspace(0, k - 1, k)[:, None])

    def draw(n):
        g = rng.choice(k, n, p=p)
        return means[g] + rng.normal(size=(n, means.shape[1])), g

    z, g = draw(200_000)
    likelihood = -0.5 * ((z[:, None] - means) ** 2).sum(axis=2)
    truth = np.mean(likelihood[np.arange(len(g)), g] - logsumexp(likelihood, axis=1, b=p))
    z, g = draw(n)
    z = np.hstack([z, rng.normal(size=(n, max(d - z.shape[1], 0)))])
    turn, _ = np.linalg.qr(rng.normal(size=(z.shape[1], z.shape[1])))
    return z @ turn, g, float(truth)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_uniform_overlap(estimator):
    z, g, truth = overlap(2, 1000, seed=1)
    assert few_steps(z, g, 2, estimator) == pytest.approx(truth, abs=0.15)


@pytest.mark.slow
def test_uniform_overlap_of_five():
    """With as many steps as by default, and with fewer, which come less near."""
    z, g, truth = overlap(5, 1000, seed=1)
    assert gru.mutual_information(z, g, 5) == pytest.approx(truth, abs=0.15)
    for estimator in ("classifier", "smile"):
        assert few_steps(z, g, 5, estimator) == pytest.approx(truth, abs=0.2)


@pytest.mark.parametrize("estimator", ["mine", "classifier"])
@pytest.mark.parametrize("p, strength, d", [(SKEWED, 1.5, 16), (np.ones(2) / 2, 1.5, 1)])
def test_gaussian_mixture(p, strength, d, estimator):
    z, g, truth = mixture(p, strength, d, 1000, seed=2)
    assert 0.2 < truth < 0.6
    assert few_steps(z, g, len(p), estimator) == pytest.approx(truth, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    "n, d, strength, low",
    [(600, 4, 2.0, -0.12), (1500, 64, 2.0, -0.25), (1500, 128, 2.0, -0.3), (1500, 16, 4.0, -0.2)],
)
def test_harder_mixtures_are_underestimated_within_limits(n, d, strength, low):
    errors = []
    for seed in range(2):
        z, g, truth = mixture(np.ones(6) / 6, strength, d, n, seed)
        errors.append(few_steps(z, g, 6, seed=seed) - truth)
    assert low < np.mean(errors) < 0.06


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_independence_gives_about_0(estimator):
    rng = np.random.default_rng(0)
    z, g = rng.normal(size=(600, 16)), rng.choice(4, 600, p=SKEWED)
    assert -0.05 < few_steps(z, g, 4, estimator) < 0.02


def test_nothing_is_learnt_by_heart():
    """With more features than samples a critic can tell every training sample's group.

    In-sample it would give log 2.
    """
    rng = np.random.default_rng(0)
    z, g = rng.normal(size=(120, 200)), rng.integers(0, 2, 120)
    assert gru.mutual_information(z, g, 2) < 0.05


def test_more_information_is_more_in_high_dimension():
    values = [few_steps(*mixture(np.ones(4) / 4, s, 128, 1000, 0)[:2], 4) for s in (0, 1.5, 3)]
    assert values[0] < 0.02 and values[0] + 0.05 < values[1] < values[2] - 0.2


def test_uniform_marginal_is_off_by_what_is_missing_to_the_largest_entropy():
    z, g, truth = mixture(SKEWED, 1.5, 4, 1000, seed=3)
    offset = math.log(4) - entropy(SKEWED)  # KL(p || uniform), .37
    # one g' a sample makes both vary more than the exact sum
    assert few_steps(z, g, 4, marginal="uniform") == pytest.approx(truth + offset, abs=0.2)
    assert few_steps(z, g, 4, marginal="empirical") == pytest.approx(truth, abs=0.2)


def test_of_one_group_nothing_can_be_told():
    z = np.random.default_rng(0).normal(size=(50, 3))
    assert gru.mutual_information(z, np.full(50, 2), 4) == 0.0
    assert gru.mutual_information(z, np.zeros(50, int), 1, "classifier") == 0.0


@pytest.fixture(scope="module")
def small():
    """300 samples of two groups with three features, and their estimate."""
    rng = np.random.default_rng(7)
    g = rng.integers(0, 2, 300)
    z = rng.normal(size=(300, 3)) + 1.5 * g[:, None] * [1, 0, 0]
    return z, g, few_steps(z, g, 2)


def test_estimate_is_deterministic_and_leaves_torch_alone(small):
    z, g, value = small
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert few_steps(torch.tensor(z, requires_grad=True), torch.tensor(g), 2) == value
        assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)
    assert few_steps(z, g, 2, seed=1) != value


def test_scale_and_constant_features_do_not_matter(small):
    z, g, value = small
    assert value > 0.1
    changed = {
        "large": 1e4 * z,
        "small": 1e-12 * z,
        "far": 20 * z + 1e5,
        "constant": np.hstack([z, np.full((300, 2), 3.3e7)]),
        "constant but for sample 0": np.hstack([z, np.eye(300)[:, :1] * 1e30]),
    }
    off = {what: few_steps(features, g, 2) - value for what, features in changed.items()}
    assert np.abs(list(off.values())).max() < 0.05, off


def test_groups_can_be_absent_or_single(small):
    z, g, value = small
    assert few_steps(z, 5 * g, 7) == pytest.approx(value, abs=0.05)
    g = g.copy()
    g[:3] = 2  # the three samples of a third group: at most one of them is in a fold
    assert few_steps(z, g, 3) == pytest.approx(value, abs=0.1)


def test_what_is_refused(small):
    z, g, _ = small

    def broken(array, at, value):
        array = array.astype(float)
        array[at] = value
        return array

    cases = [
        (z[:, 0], g, 2, r"features have shape \(300,\)"),
        (z[:, :0], g, 2, "features have shape"),
        (broken(z, (17, 1), np.nan), g, 2, "features of sample 17 are not finite"),
        (broken(z, (290, 0), np.inf), g, 2, "sample 290"),
        ([["a", "b"]] * 50, g[:50], 2, "features are not an array of numbers"),
        (z, g[:-1], 2, r"groups have shape \(299,\) for 300 samples"),
        (z, broken(g, 4, 0.5), 2, "group of sample 4 is 0.5: groups are whole numbers from 0 to 1"),
        (z, broken(g, 9, 2), 2, "group of sample 9 is 2"),
        (z, broken(g, 3, -1), 2, "group of sample 3 is -1"),
        (z, broken(g, 8, np.nan), 2, "group of sample 8 is nan"),
        (z[:12], g[:12], 2, "12 samples are too few"),
        (z, g, 0, "n_groups 0 is not a whole number of 1 or more"),
        (z, g, 2, "mime", "unknown estimator 'mime': did you mean 'mine'"),
        (z, g, 2, "mine", "uniforme", "unknown marginal 'uniforme': did you mean 'uniform'"),
        (z, g, 2, "classifier", "uniform", "marginal 'uniform' is for estimator 'mine'"),
        (z, g, 2, "mine", "exact", -1, "seed -1"),
    ]
    assert not accepted(gru.mutual_information, cases)
    options = [{"steps": 0}, {"hidden": 1.5}, {"lr": 0}, {"lr": math.nan}]
    cases = [(option, next(iter(option))) for option in options]
    assert not accepted(lambda option: gru.mutual_information(z, g, 2, **option), cases)


def test_a_critic_that_diverges_is_said_to(small):
    said = r"step \d+: its loss is .*; lower lr \(1000000.0\)"
    cases = [(estimator, said) for estimator in ESTIMATORS]
    estimate = lambda estimator: gru.mutual_information(*small[:2], 2, estimator, lr=1e6)
    assert not accepted(estimate, cases, gru.DivergedError)
