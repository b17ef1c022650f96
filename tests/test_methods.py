"""Unlearning methods, and the Training and Sampler that they are loops over."""

import copy
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gru_lite.batches import DeviceData

import gru_lite as gru
from gru_lite.methods import METHODS, miu
from gru_lite.methods.eu_k import reset_last
from gru_lite.methods.finetune import retain_sampler
from gru_lite.methods.miu import AS_RELEASED, TrainedCritic, clipped, gradient_length
from gru_lite.methods.salun import saliency_mask
from gru_lite.methods.scrub import distillation
from gru_lite.train import Sampler, Training, hold_statistics_of

each_method = pytest.mark.parametrize("name", METHODS)
SMALL = {"miu": {"first_steps": 4, "later_steps": 2}}


def config_of(name, **changes):
    """Two epochs, and few steps of critics."""
    return METHODS[name][1](**{"epochs": 2, **SMALL.get(name, {}), **changes})


@pytest.fixture
def unlearned(trained, bench, split):
    """Runs a method on the small benchmark, with its config's fields as keywords."""

    def run(
        name, reweight=True, sampling="replacement", seed=0, original=trained, data=bench.train, **changes
    ):
        return gru.unlearn(
            name, original, data, split, config_of(name, **changes), reweight, sampling, seed, bench.val
        )

    return run


@pytest.fixture
def steps(monkeypatch):
    """What Training is asked for.

    A row (main, samples, learning rate) for each batch, and the losses of the steps.
    """
    seen = SimpleNamespace(batches=[], losses=[])
    batches, step = Training.batches, Training.step

    def watched(self, epoch, sampler, main=True):
        for batch in batches(self, epoch, sampler, main):
            seen.batches.append((main, batch.index.tolist(), self.optimizer.param_groups[0]["lr"]))
            yield batch

    def counted(self, loss, gradients=None):
        seen.losses.append(loss.item())
        step(self, loss, gradients)

    monkeypatch.setattr(Training, "batches", watched)
    monkeypatch.setattr(Training, "step", counted)
    return seen


def same(first, second, prefix=""):
    """Bit for bit, buffers included."""
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(
        torch.equal(a[name], b[name]) for name in a if name.startswith(prefix)
    )


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def buffers(model):
    return {name: tensor.clone() for name, tensor in model.named_buffers()}


def same_buffers(first, second):
    a, b = buffers(first), buffers(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def loss_on(model, data, indices):
    return F.cross_entropy(
        torch.from_numpy(gru.predict(model, data, indices)), torch.from_numpy(data.target[indices])
    ).item()


def inverted(data, split):
    """The data with other images in the place of the forgotten ones."""
    images = data.images.copy()
    images[split.forget] = 255 - images[split.forget]
    return gru.GroupedDataset(
        data.target, data.sensitive, data.target_names, data.sensitive_names, images=images
    )


# What every method promises


@each_method
def test_a_method_returns_a_model_and_leaves_the_original(name, trained, unlearned):
    for mode in (True, False):
        original = copy.deepcopy(trained).train(mode)
        original.backbone[1].train(not mode)
        modes = [module.training for module in original.modules()]
        rng, threads = torch.get_rng_state(), torch.get_num_threads()
        model = unlearned(name, original=original)
        assert torch.equal(torch.get_rng_state(), rng) and torch.get_num_threads() == threads
        assert same(original, trained) and [module.training for module in original.modules()] == modes
        assert all(p.grad is None and p.requires_grad for p in original.parameters())
        assert isinstance(model, gru.Classifier) and model is not original and not same(model, original)
        assert not any(module.training for module in model.modules()) and model.training_seconds > 0
        assert all(p.requires_grad and torch.isfinite(p).all() for p in model.parameters())


@each_method
def test_the_seed_and_the_sampling_decide(name, unlearned):
    first = unlearned(name)
    torch.manual_seed(123)  # the global state does not matter
    assert same(unlearned(name), first) and not same(unlearned(name, seed=1), first)
    plain, topped = unlearned(name, reweight=False), unlearned(name, sampling="top_up")
    retains = name != "gradient_ascent"  # the one that has no pass over R
    assert same(plain, first) != retains and same(topped, first) != retains and same(topped, plain) != retains


@pytest.mark.parametrize("options", [{}, {"reweight": False}, {"sampling": "top_up"}], ids=str)
def test_every_method_has_the_same_pass_over_r(options, unlearned, split, steps):
    """The same batches in the same order as finetune, however many passes over F there are beside it."""
    unlearned("finetune", **options)
    expected = [index for _, index, _ in steps.batches]
    assert [len(index) for index in expected] == [64] * 6  # two epochs over 185 images
    for name in set(METHODS) - {"finetune", "gradient_ascent"}:
        steps.batches.clear(), steps.losses.clear()
        unlearned(name, **options)
        assert [index for main, index, _ in steps.batches if main] == expected
        assert len(steps.losses) == len(steps.batches)  # one step a batch
        for main, index, _ in steps.batches:
            assert set(index) <= set(split.retain if main else split.forget)


@pytest.mark.parametrize("name, epochs", [("gradient_ascent", 2), ("salun", 2), ("scrub", 1), ("miu", 1)])
def test_the_pass_over_f_visits_each_once(name, epochs, unlearned, split, steps):
    limit = {"scrub": {"forget_epochs": 1}, "miu": {"forget_epochs": 1}}.get(name, {})
    size = "batch_size" if name == "gradient_ascent" else "forget_batch_size"
    unlearned(name, **limit, **{size: 5})
    passes = [index for _, index, _ in steps.batches if set(index) <= set(split.forget)]
    assert [len(index) for index in passes] == [5, 5, 5] * epochs
    for epoch in range(epochs):
        assert sorted(sum(passes[3 * epoch : 3 * epoch + 3], [])) == sorted(split.forget)


@pytest.mark.parametrize("name", ["finetune", "l1_sparse", "eu_k"])
def test_methods_that_do_not_look_at_f(name, unlearned, bench, split):
    assert same(unlearned(name), unlearned(name, data=inverted(bench.train, split)))


@pytest.mark.parametrize("name", ["gradient_ascent", "salun", "scrub", "miu"])
def test_methods_that_do(name, unlearned, bench, split):
    assert not same(unlearned(name), unlearned(name, data=inverted(bench.train, split)))


@each_method
def test_the_config_of_another_is_refused(name, trained, bench, split):
    other = "scrub" if name != "scrub" else "salun"
    with pytest.raises(
        gru.InputError,
        match=f"{name} takes a {METHODS[name][1].__name__}, not a {METHODS[other][1].__name__}",
    ):
        gru.unlearn(name, trained, bench.train, split, METHODS[other][1]())


@each_method
def test_divergence_hands_back_a_finite_model(name, unlearned):
    with pytest.raises(gru.DivergedError, match=r"diverged in epoch \d.*; lower (critic_)?lr") as caught:
        unlearned(name, lr=1e30, epochs=4)
    assert not caught.value.model.training and torch.isfinite(weights_of(caught.value.model)).all()


INVALID = [
    ("salun", "share", 0),
    ("salun", "share", 1.1),
    ("salun", "share", math.nan),
    ("salun", "masked", "restord"),
    ("salun", "statistics", "fixed"),
    ("miu", "forget_epochs", -1),
    ("miu", "forget_epochs", 1.5),
    ("miu", "forget_batch_size", 0),
    ("miu", "first_steps", 0),
    ("miu", "later_steps", -1),
    ("miu", "lambda_mi", -1.0),
    ("miu", "lambda_mi", math.nan),
    ("miu", "critic_lr", math.inf),
    ("miu", "ce_weight", "1"),
    ("miu", "marginal", "uniformly"),
    ("miu", "phi0_features", "both"),
    ("miu", "original_mode", "test"),
    ("miu", "statistics", "fixed"),
    ("miu", "average", "none"),
    ("miu", "loss_precision", "float16"),
    ("eu_k", "blocks", 6),
    ("eu_k", "blocks", -1),
    ("eu_k", "blocks", 1.5),
    ("l1_sparse", "alpha", -1.0),
    ("l1_sparse", "alpha", math.nan),
    ("scrub", "forget_epochs", -1),
    ("scrub", "forget_batch_size", 0),
    ("scrub", "temperature", 0.0),
    ("scrub", "kl_weight", math.nan),
    ("scrub", "ce_weight", -1.0),
    ("salun", "forget_batch_size", 0),
    ("salun", "share", "0.5"),
    ("miu", "clip", "no"),
]


@pytest.mark.parametrize("name, field, value", INVALID)
def test_values_that_are_refused(name, field, value, unlearned):
    with pytest.raises(gru.InputError, match=field):
        unlearned(name, **{field: value})


# Gradient ascent


def test_gradient_ascent_is_a_step_up(trained, bench, split, unlearned):
    """One step on all of F by hand.

    W + lr * gradient of the mean loss - lr * decay * w, with the original's BatchNorm statistics.
    """
    up = unlearned("gradient_ascent", epochs=1, lr=0.01, shift=0, weight_decay=0.1)
    x, y = DeviceData(bench.train, "cpu").take(torch.from_numpy(split.forget))
    model = copy.deepcopy(trained).eval()
    F.cross_entropy(model(x), y).backward()
    for got, before in zip(up.parameters(), model.parameters()):
        torch.testing.assert_close(got, before + 0.01 * before.grad - 0.001 * before, atol=1e-6, rtol=1e-5)
    assert same_buffers(up, trained)


def test_gradient_ascent_raises_the_loss_of_f(trained, bench, split, unlearned):
    losses = [loss_on(unlearned("gradient_ascent", epochs=n), bench.train, split.forget) for n in (1, 3, 9)]
    assert loss_on(trained, bench.train, split.forget) < losses[0] < losses[1] < losses[2]


# EU-k


@pytest.mark.parametrize("blocks, kept", [(0, 8), (1, 5), (2, 4), (3, 3)])
def test_eu_k_keeps_the_first_blocks(blocks, kept, trained, unlearned):
    """Children of the backbone: convolution, BatchNorm, ReLU, three blocks, pooling, flatten."""
    model = unlearned("eu_k", blocks=blocks)
    for i, (child, before) in enumerate(zip(model.backbone, trained.backbone)):
        assert same(child, before) == (i < kept or not list(child.parameters())), i
    assert not same(model.head, trained.head) and all(p.requires_grad for p in model.parameters())


def test_eu_k_resets(trained, model):
    """To what a layer is before training: everything reset, nothing of the original is left."""
    first, second = copy.deepcopy(trained), copy.deepcopy(model)
    rng = torch.get_rng_state()
    assert reset_last(first, 5, seed=3) == reset_last(second, 5, seed=3) == 0
    assert same(first, second) and torch.equal(torch.get_rng_state(), rng)
    assert first.backbone[1].running_mean.abs().max() == 0 and first.backbone[1].running_var.min() == 1
    reset_last(second, 0, seed=4)
    assert same(first.backbone, second.backbone) and not same(first.head, second.head)
    assert second.head.weight.abs().max() <= 1 / 8  # of nn.Linear with 64 inputs: uniform to 1 / sqrt(64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no GPU")
def test_eu_k_resets_a_model_on_the_gpu_alike(trained):
    models = [copy.deepcopy(trained).cuda() for _ in range(2)]
    rng = torch.cuda.get_rng_state()
    for model in models:
        reset_last(model, 1, seed=3)
    assert same(*models) and torch.equal(torch.cuda.get_rng_state(), rng)


def test_eu_k_refuses(trained, bench, split):
    with pytest.raises(gru.InputError, match="blocks 6 is not 0 to 5"):
        gru.unlearn("eu_k", trained, bench.train, split, config_of("eu_k", blocks=6))
    odd = gru.Classifier(torch.nn.ModuleDict({"only": trained.backbone}), trained.head)
    with pytest.raises(gru.InputError, match="Sequential of blocks, not ModuleDict"):
        gru.unlearn("eu_k", odd, bench.train, split)


def test_eu_k_unfreezes_after_divergence(unlearned):
    with pytest.raises(gru.DivergedError) as caught:
        unlearned("eu_k", lr=1e30, epochs=4)
    assert all(p.requires_grad for p in caught.value.model.parameters())


# L1-sparse


def test_l1_without_penalty_is_finetune(unlearned):
    assert same(unlearned("l1_sparse", alpha=0.0), unlearned("finetune"))


def test_l1_by_hand(trained, unlearned, steps):
    """One step: lr * alpha * sign(w) further than fine-tuning.

    And without moving, the penalty itself, fading to a half.
    """
    one = {"epochs": 1, "batch_size": 185, "lr": 0.01}
    sparse, plain = unlearned("l1_sparse", alpha=0.2, **one), unlearned("finetune", **one)
    torch.testing.assert_close(
        weights_of(plain) - weights_of(sparse), 0.002 * weights_of(trained).sign(), atol=1e-6, rtol=0
    )
    steps.losses.clear()
    for alpha in (0.2, 0.0):
        unlearned("l1_sparse", alpha=alpha, lr=0.0)
    penalty = np.subtract(*np.split(np.array(steps.losses), 2))
    norm = weights_of(trained).abs().sum().item()
    np.testing.assert_allclose(penalty, [0.2 * norm] * 3 + [0.1 * norm] * 3, rtol=1e-5)


def test_l1_shrinks(unlearned):
    sizes = [
        weights_of(unlearned("l1_sparse", alpha=alpha, lr=0.01)).abs().mean().item()
        for alpha in (0.0, 0.01, 0.03, 0.1)
    ]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.9 * sizes[0]


# SCRUB


def test_distillation_by_hand():
    """Teacher 3:1, student 1:1 at the temperature.

    KL(teacher || student) = .75 ln 1.5 + .25 ln .5; the other way it is .1438.
    """
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert kl == pytest.approx(0.1308, abs=1e-4)
    for temperature in (1.0, 4.0):
        teacher, student = torch.tensor([[temperature * math.log(3), 0.0]]), torch.zeros(1, 2)
        assert distillation(student, teacher, temperature).item() == pytest.approx(
            temperature**2 * kl, rel=1e-5
        )
        both = distillation(
            torch.cat([student, teacher]), torch.cat([teacher, teacher]) + 7, temperature
        )  # logits are free up to a constant
        assert both.item() == pytest.approx(temperature**2 * kl / 2, rel=1e-5)


def test_scrub_without_its_terms_is_finetune(unlearned):
    plain = {"forget_epochs": 0, "kl_weight": 0.0, "ce_weight": 1.0, "lr": 0.05}
    assert same(unlearned("scrub", **plain), unlearned("finetune", lr=0.05))


def test_scrub_leaves_the_teacher_on_f_and_keeps_to_it_on_r(trained, bench, split, unlearned, steps):
    def distance(model, indices):
        return scrub_distance(
            gru.predict(model, bench.train, indices), gru.predict(trained, bench.train, indices)
        )

    def scrub_distance(student, teacher):  # at temperature 1
        p, q = (
            np.exp(a - np.logaddexp.reduce(a, axis=1, keepdims=True))
            for a in (teacher.astype(float), student.astype(float))
        )
        return (p * np.log(p / q)).sum(axis=1).mean()

    away = {
        "kl_weight": 0.0,
        "ce_weight": 0.0,
        "weight_decay": 0.0,
        "epochs": 1,
        "forget_epochs": 1,
        "forget_batch_size": 5,
    }
    still, moved = unlearned("scrub", lr=0.0, **away), unlearned("scrub", lr=0.03, **away)
    assert distance(moved, split.forget) > distance(still, split.forget)
    assert (np.array(steps.losses[:3]) <= 0).all()  # minus a divergence
    start = copy.deepcopy(trained)
    keep = {
        "forget_epochs": 0,
        "ce_weight": 0.0,
        "kl_weight": 1.0,
        "weight_decay": 0.0,
        "lr": 0.003,
        "epochs": 6,
    }
    steps.losses.clear()
    unlearned("scrub", original=start, **keep)
    assert min(steps.losses) >= 0 and np.mean(steps.losses[-3:]) < np.mean(steps.losses[:3])


def test_scrub_stops_the_ascent(unlearned, steps, split):
    unlearned("scrub", epochs=4, forget_epochs=2, lr=0.01)
    kinds = [main for main, _, _ in steps.batches]
    assert kinds == [False, True, True, True] * 2 + [True, True, True] * 2
    assert unlearned("scrub", epochs=1, forget_epochs=3) is not None


def test_the_learning_rate_of_the_other_pass(unlearned, steps):
    """That of the first retain step of the same epoch."""
    unlearned("salun", epochs=3, lr=0.1)
    rates = {main: [rate for kind, _, rate in steps.batches if kind == main] for main in (True, False)}
    assert rates[True][::3] == pytest.approx([0.1, 0.075, 0.025]) and rates[False] == pytest.approx(
        [0.1, 0.075, 0.025]
    )


def test_the_learning_rate_of_the_other_pass_stands_still(unlearned, steps):
    """By hand: an epoch of warm-up to .1, then half a cosine over the two others.

    .1 and .05 at their beginnings.
    """
    unlearned("salun", epochs=3, lr=0.1, warmup_epochs=1)
    assert [rate for main, _, rate in steps.batches if not main] == pytest.approx([0.1, 0.1, 0.05])


# SalUn


def test_the_mask_by_hand(trained, bench, split):
    """Against autograd on all of F at once.

    Exactly so many are True, whatever the share, and the mode stays.
    """
    x, y = DeviceData(bench.train, "cpu").take(torch.from_numpy(split.forget))
    model = copy.deepcopy(trained).eval()
    gradients = torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), list(model.parameters()))
    size = torch.cat([g.abs().flatten() for g in gradients])
    for share in (0.01, 0.5, 1.0):
        with Training(trained, bench.train, config_of("salun"), hold_statistics=True) as training:
            modes = [module.training for module in training.model.modules()]
            mask = saliency_mask(training, split.forget, share)
            assert [module.training for module in training.model.modules()] == modes and same(
                training.model, trained
            )
            assert all(p.grad is None or not p.grad.any() for p in training.model.parameters())
        assert [m.shape for m in mask] == [p.shape for p in model.parameters()] and {
            m.dtype for m in mask
        } == {torch.bool}
        flat = torch.cat([m.flatten() for m in mask])
        assert flat.sum() == round(share * 77_522)
        if share < 1:
            assert size[flat].min() >= size[~flat].max() * (1 - 1e-4)


def mask_of(trained, data, split, share=0.5):
    with Training(trained, data, config_of("salun"), hold_statistics=True) as training:
        return torch.cat([m.flatten() for m in saliency_mask(training, split.forget, share)])


def test_salun_moves_nothing_outside_the_mask(trained, bench, split, unlearned):
    mask, before = mask_of(trained, bench.train, split), weights_of(trained)
    model = unlearned("salun", weight_decay=0.1)
    assert torch.equal(weights_of(model)[~mask], before[~mask]) and same_buffers(model, trained)
    assert (weights_of(model)[mask] != before[mask]).float().mean() > 0.99


def test_salun_as_released_does(trained, bench, split, unlearned):
    """Weight decay moves what is outside of the mask, momentum carries it on.

    And BatchNorm's statistics move.
    """
    mask, before = mask_of(trained, bench.train, split), weights_of(trained)
    released = METHODS["salun"][1](as_released=True)
    assert (released.masked, released.statistics) == ("moving", "moving")
    model = unlearned("salun", as_released=True, weight_decay=0.1)
    outside = weights_of(model)[~mask]
    assert not same_buffers(model, trained) and not torch.equal(outside, before[~mask])
    # no gradient: SGD on weight decay alone, by hand, a pass over F of one step and three retain steps an
    # epoch
    w, velocity = before[~mask].double(), torch.zeros(int((~mask).sum()), dtype=torch.double)
    config = config_of("salun")
    for epoch in range(2):
        for rate in [config.lr_at(3 * epoch, 3), *(config.lr_at(3 * epoch + i, 3) for i in range(3))]:
            velocity = 0.9 * velocity + 0.1 * w
            w = w - rate * velocity
    torch.testing.assert_close(outside.double(), w, atol=1e-6, rtol=1e-4)
    still = unlearned("salun", as_released=True, weight_decay=0.0)
    assert torch.equal(weights_of(still)[~mask], before[~mask]) and not same_buffers(still, trained)
    only_statistics = unlearned("salun", statistics="moving", weight_decay=0.1)
    assert torch.equal(weights_of(only_statistics)[~mask], before[~mask]) and not same_buffers(
        only_statistics, trained
    )


def test_salun_without_a_mask(unlearned):
    whole = unlearned("salun", share=1.0)
    assert same(whole, unlearned("salun", share=1.0, masked="moving"))  # nothing is outside


def test_salun_draws_fresh_labels(unlearned, monkeypatch):
    seen = []
    module = __import__("sys").modules["gru_lite.methods.salun"]

    def cross_entropy(logits, target, **options):
        seen.append(target.clone())
        return F.cross_entropy(logits, target, **options)

    monkeypatch.setattr(module, "F", SimpleNamespace(cross_entropy=cross_entropy))
    unlearned("salun", epochs=6)
    mask, *labels = [target for target in seen if len(target) == 15]
    assert (mask == 1).all() and len(labels) == 6  # the true ones for the mask alone
    assert (
        len({tuple(target.tolist()) for target in labels}) == 6
        and 0.3 < torch.cat(labels).float().mean() < 0.7
    )


# MIU


def run_miu(trained, bench, split, watch=None, reweight=True, **changes):
    config = config_of("miu", **changes)
    return miu(
        trained,
        bench.train,
        split,
        config,
        weights=gru.reweight(split) if reweight else None,
        sampling="replacement",
        seed=0,
        watch=watch,
    )


@pytest.mark.parametrize("clip", [True, False])
def test_miu_without_its_terms_is_finetune(clip, unlearned):
    assert same(unlearned("miu", lambda_mi=0.0, forget_epochs=0, clip=clip), unlearned("finetune"))


def test_watching_changes_nothing(trained, bench, split, unlearned):
    epochs = []
    model = run_miu(
        trained, bench, split, lambda epoch, model, phi, phi_0: epochs.append((epoch, phi.name, phi_0.name))
    )
    assert same(model, unlearned("miu")) and epochs == [(0, "phi", "phi_0"), (1, "phi", "phi_0")]


@pytest.mark.parametrize("released", [True, False])
def test_when_the_critics_learn(released, trained, bench, split):
    """phi in every epoch; phi_0 in the first alone, or as released in every one."""
    seen = []

    def watch(epoch, model, *critics):
        seen.append([weights_of(critic.net).clone() for critic in critics])

    run_miu(
        trained,
        bench,
        split,
        watch,
        epochs=3,
        later_steps=2,
        phi0_features="unlearned" if released else "original",
    )
    phi, phi_0 = zip(*seen)
    assert not torch.equal(phi[0], phi[1]) and not torch.equal(phi[1], phi[2])
    assert torch.equal(phi_0[0], phi_0[1]) != released and torch.equal(phi_0[1], phi_0[2]) != released


def test_model_steps_do_not_reach_the_critics(trained, bench, split, monkeypatch):
    """Their gradients are thrown away after each of their own steps, and nothing comes back."""
    tune = TrainedCritic.tune

    def tune_and_forget(self, z, g):
        assert not z.requires_grad
        tune(self, z, g)
        assert all(p.grad is not None for p in self.net.parameters())
        self.net.zero_grad(set_to_none=True)

    monkeypatch.setattr(TrainedCritic, "tune", tune_and_forget)
    after = []

    def watch(epoch, model, *critics):
        after.extend(
            p.grad is None and not p.requires_grad for critic in critics for p in critic.net.parameters()
        )

    for options in ({}, {"as_released": True}):
        run_miu(trained, bench, split, watch, epochs=2, **options)
    assert len(after) == 2 * 2 * 2 * 4 and all(after)


@pytest.mark.parametrize("statistics", ["held", "moving"])
def test_statistics_while_critics_are_tuned(statistics, trained, bench, split, unlearned):
    """A model that does not move: what its statistics see beside the pass over R is the critics' batches."""
    still = {"lr": 0.0, "later_steps": 2}
    model = unlearned("miu", forget_epochs=0, statistics=statistics, **still)
    assert same_buffers(model, unlearned("finetune", lr=0.0)) == (statistics == "held")
    assert torch.equal(weights_of(model), weights_of(trained))


@pytest.mark.parametrize("options, cached", [({}, True), ({"original_mode": "train"}, False)])
def test_features_of_the_original_are_computed_once(options, cached, trained, bench, split, monkeypatch):
    sizes = []
    features = gru.Classifier.features

    def counted(self, x):
        sizes.append(len(x))
        return features(self, x)

    monkeypatch.setattr(gru.Classifier, "features", counted)
    run_miu(
        trained,
        bench,
        split,
        epochs=2,
        forget_epochs=1,
        forget_batch_size=5,
        first_steps=4,
        later_steps=2,
        **options,
    )
    # all 200 once; epoch 1: 3 forget, 3 retain batches; epoch 2: 2 for phi, 3 retain batches
    retain = [64] if cached else [64, 64]  # the original once more, on each retain batch
    assert sizes == [200] + [5] * 3 + retain * 3 + [64] * 2 + retain * 3


def test_clipped_by_hand():
    z = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    value = (z**2).sum() / 2  # its gradient is z, of length 5
    on, off = (config_of("miu", clip=clip) for clip in (True, False))
    assert gradient_length(value, z) == 5
    for limit, length in [(2.0, 2.0), (5.0, 5.0), (7.0, 5.0), (0.0, 0.0)]:
        (gradient,) = torch.autograd.grad(clipped(value, z, torch.tensor(limit), on), z, retain_graph=True)
        torch.testing.assert_close(gradient, z.detach() * length / 5)
        (gradient,) = torch.autograd.grad(clipped(value, z, torch.tensor(limit), off), z, retain_graph=True)
        torch.testing.assert_close(gradient, z.detach())
    flat = clipped((0 * z).sum(), z, torch.tensor(1.0), on)
    assert torch.equal(torch.autograd.grad(flat, z)[0], torch.zeros(2, 2))


def test_clipping_matters(unlearned):
    """Once a critic has learnt something, its gradient can be longer than that of the cross-entropy.

    Without the limit it takes over.
    """
    heavy = {"lambda_mi": 100.0, "first_steps": 60, "critic_lr": 0.1, "forget_epochs": 1}
    assert not same(unlearned("miu", epochs=1, **heavy), unlearned("miu", epochs=1, clip=False, **heavy))
    assert torch.isfinite(weights_of(unlearned("miu", **heavy))).all()
    with pytest.raises(gru.DivergedError, match="training diverged in epoch 2"):
        unlearned("miu", clip=False, **heavy)


def test_forgetting_lowers_what_the_critic_reads(trained, bench, split):
    """The estimate on F, after a pass that minimises it and no other.

    The critic is the same for both models.
    """
    readings = {}
    z = torch.from_numpy(gru.extract_features(trained, bench.train, split.forget))
    g = torch.from_numpy(bench.train.group[split.forget])
    for lr in (0.0, 0.05):

        def watch(epoch, model, phi, phi_0, lr=lr):
            now = torch.from_numpy(gru.extract_features(model, bench.train, split.forget))
            readings[lr] = phi.estimate(now, g).item()

        run_miu(
            trained,
            bench,
            split,
            watch,
            epochs=1,
            forget_epochs=1,
            ce_weight=0.0,
            lambda_mi=0.0,
            weight_decay=0.0,
            clip=False,
            first_steps=40,
            lr=lr,
        )
    assert readings[0.05] < readings[0.0] and len(z) == 15


def test_as_released_sets_every_switch():
    released = METHODS["miu"][1](as_released=True)
    assert {name: getattr(released, name) for name in AS_RELEASED} == AS_RELEASED
    ours = METHODS["miu"][1]()
    assert all(getattr(ours, name) != value for name, value in AS_RELEASED.items())
    assert replace(released, lr=0.01).average == "shared"


@pytest.mark.parametrize(
    "switch", [name for name in AS_RELEASED if name != "clip"]
)  # of which see test_clipping_matters
def test_every_switch_does_something(switch, unlearned):
    assert not same(unlearned("miu", **{switch: AS_RELEASED[switch]}), unlearned("miu")), switch


def test_a_critic_that_diverges_is_named(trained, unlearned):
    with pytest.raises(gru.DivergedError) as caught:
        unlearned("miu", critic_lr=1e20, first_steps=6)
    message = str(caught.value)
    for part in (
        "the critic phi diverged in epoch 1, step ",
        " of 6: its loss is ",
        "lower critic_lr (1e+20)",
    ):
        assert part in message
    assert same(caught.value.model, trained) and not caught.value.model.training


# Samplers and the training that they feed


def test_sampler_cuts_epochs_from_endless_passes(dataset):
    """Five samples, epochs of eight.

    Each five of the sequence are all of them once, across the borders of epochs.
    """
    data = dataset([[3, 4], [5, 2]])
    sampler = Sampler(data, [1, 4, 6, 9, 13], batch_size=4, steps=2)
    whole = np.concatenate([sampler.draw(epoch, seed=7) for epoch in range(5)])
    assert (sampler.length, sampler.steps) == (5, 2) and len(whole) == 40 and whole.dtype == np.int64
    assert (np.sort(whole.reshape(8, 5)) == [1, 4, 6, 9, 13]).all() and not (whole[:5] == whole[5:10]).all()
    assert np.array_equal(sampler.draw(3, seed=7), whole[24:32])  # a function of seed and epoch alone
    other = Sampler(data, [1, 4, 6, 9, 13], batch_size=4, steps=2, name="forget")
    assert not np.array_equal(other.draw(0, seed=7), whole[:8]) and not np.array_equal(
        sampler.draw(0, seed=8), whole[:8]
    )


def test_sampler_sizes(dataset):
    data = dataset([[3, 4], [5, 2]])
    assert [
        (s.batch_size, s.steps) for s in (Sampler(data), Sampler(data, [3, 4, 5], 2), Sampler(data, [3], 64))
    ] == [(14, 1), (2, 2), (1, 1)]
    weights = np.array(
        [4.0, 1.0, 1.0]
    )  # groups 0, 1, 1: top-up draws each at least once, the first four times
    topped = Sampler(data, [0, 3, 4], 3, weights, "top_up")
    assert (topped.length, topped.steps) == (6, 2) and np.bincount(topped.draw(0, 0), minlength=14)[
        [0, 3, 4]
    ].tolist() == [4, 1, 1]
    assert Sampler(data, [0, 3, 4], 3, np.array([0.0, 0.0, 1.0])).draw(0, 0).tolist() == [4, 4, 4]


def test_the_retain_sampler(bench, split):
    config, weights = config_of("finetune"), gru.reweight(split)
    for arguments in ((None, "replacement"), (weights, "replacement"), (weights, "top_up")):
        sampler = retain_sampler(bench.train, split, config, *arguments)
        assert sampler.steps == 3 and set(sampler.draw(0, 0)) <= set(split.retain)
    drawn = np.concatenate(
        [retain_sampler(bench.train, split, config, weights, "replacement").draw(e, 0) for e in range(40)]
    )
    share = np.bincount(bench.train.group[drawn], minlength=4) / len(
        drawn
    )  # 7,680 draws: standard error .006 or less
    np.testing.assert_allclose(share, [0.35, 0.15, 0.15, 0.35], atol=0.025)


def test_training_by_hand(trained, bench, config):
    """A changed gradient, a learning rate for each pass, statistics that are held, and the mode of what comes out."""
    everything, some = Sampler(bench.train), Sampler(bench.train, [3, 1, 4], name="forget")
    with Training(
        trained, bench.train, replace(config, lr=0.4, warmup_epochs=0), hold_statistics=True
    ) as training:
        assert training.model.training and not training.model.backbone[1].training
        rates = []
        for main, sampler in ((False, some), (True, everything)):
            for batch in training.batches(1, sampler, main):
                rates.append(training.optimizer.param_groups[0]["lr"])
                assert torch.equal(batch.y, torch.from_numpy(bench.train.target)[batch.index])
                weights = weights_of(training.model).clone()
                training.step(
                    F.cross_entropy(training.logits(batch.x), batch.y), gradients=training.model.zero_grad
                )
                assert torch.equal(
                    weights_of(training.model), weights
                )  # no gradient at all: not even weight decay
        # the second of two epochs: half of the cosine is over
        assert rates == pytest.approx(
            [0.2, *(0.4 * (1 + math.cos(math.pi * (4 + i) / 8)) / 2 for i in range(4))]
        )
        training.end_epoch(1)
        assert training.losses == []
    assert (
        same(training.finish(), trained)
        and not training.model.training
        and training.model.training_seconds > 0
    )


def test_features_and_losses_are_float32(trained, bench, config):
    with Training(trained, bench.train, replace(config, precision="bfloat16")) as training:
        (batch,) = training.batches(0, Sampler(bench.train, range(8)))
        assert {tensor.dtype for tensor in training.forward(batch.x)} == {torch.float32}


def test_the_last_good_model(trained, bench, config):
    """A loss that is not finite in the third epoch: the model of the second comes back."""
    sampler = Sampler(bench.train, range(64))
    threads = torch.get_num_threads()
    with pytest.raises(
        gru.DivergedError,
        match=r"training diverged in epoch 3, step 1 of 1: the loss is nan; lower lr \(0.05\)",
    ) as caught:
        with Training(trained, bench.train, config) as training:
            for epoch in range(3):
                if epoch == 2:
                    good = copy.deepcopy(training.model)
                for batch in training.batches(epoch % 2, sampler):
                    training.step(
                        F.cross_entropy(training.logits(batch.x), batch.y) * (math.nan if epoch == 2 else 1)
                    )
                training.end_epoch(epoch)
    assert same(caught.value.model, good) and not same(good, trained) and torch.get_num_threads() == threads


def test_hold_statistics_of_a_part(trained):
    model = copy.deepcopy(trained).train()
    hold_statistics_of(model.backbone[3])
    held = [name for name, module in model.named_modules() if not module.training]
    assert held == ["backbone.3.norm1", "backbone.3.norm2"]


@each_method
def test_every_method_runs_in_bfloat16(name, unlearned):
    model = unlearned(name, precision="bfloat16")
    assert all(
        torch.isfinite(weight).all() and weight.dtype == torch.float32 for weight in model.parameters()
    )
