"""Models, samplers and batches, the training loop, checkpoints and the prediction pass."""

import copy
import json
import math
import os
import signal
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from refusals import accepted
from safetensors.torch import save_file

import gru_lite as gru
from gru_lite.train import Sampler, Training, device_data, fitting, hold_statistics_of
from gru_lite.train.checkpoint import resume, write_checkpoint


def same(first, second):
    """Bit for bit, buffers included."""
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


@pytest.fixture
def two_threads():
    """Two threads outside of what is tested, which uses one: the number must be restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def features():
    """Two classes that a line separates; the groups of one class look alike."""
    rng = np.random.default_rng(0)
    target, sensitive = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    x[:, 0] += 4 * target
    return gru.GroupedDataset(target, sensitive, ("a", "b"), ("c", "d"), features=x)


# Models


def test_small_resnet_by_hand(model):
    # stem 3*16*9 + 2*16 = 464; block 16: 2*16*16*9 + 4*16 = 4672; block 32: 16*32*9 + 32*32*9 + 4*32 and
    # shortcut 16*32 + 2*32 = 14528; block 64: 32*64*9 + 64*64*9 + 4*64 and shortcut 32*64 + 2*64 = 57728;
    # head 64*2 + 2 = 130
    assert sum(p.numel() for p in model.parameters()) == 77_522 == 464 + 4672 + 14528 + 57728 + 130


def test_head_of_features(trained, bench):
    x, _ = device_data(bench.test, "cpu").take(torch.arange(8))
    z = trained.features(x)
    assert z.shape == (8, 64) and torch.equal(trained.head(z), trained(x))
    assert gru.build_model("small_resnet", 7)(x).shape == (8, 7)


def test_initial_weights_depend_on_the_seed_alone(model):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again, other = gru.build_model("small_resnet", 2, seed=0), gru.build_model("small_resnet", 2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(again, model) and not same(other, model)


def test_build_model_refuses():
    cases = [
        ("small_resnt", {}, "unknown model 'small_resnt': did you mean 'small_resnet'"),
        ("mlp", {"seed": -1, "n_features": 3}, "seed -1"),
        ("resnet18", {"weights": "imagenett"}, "unknown weights 'imagenett': did you mean 'imagenet'"),
        ("vit_b_16", {"weights": "none", "image_size": 40}, "image_size 40 is not a multiple of 16"),
    ]
    assert not accepted(lambda name, options: gru.build_model(name, 2, **options), cases)


def test_save_and_load(trained, bench, tmp_path):
    file = tmp_path / "new" / "model.safetensors"
    gru.save(trained, file)
    loaded = gru.load_model(file)
    assert same(loaded, trained) and not loaded.training and loaded.architecture == trained.architecture
    assert np.array_equal(gru.predict(loaded, bench.val), gru.predict(trained, bench.val))
    assert [path.name for path in file.parent.iterdir()] == ["model.safetensors"]
    with pytest.raises(gru.InputError, match="not made by build_model"):
        gru.save(gru.Classifier(trained.backbone, trained.head), file)


def test_files_that_are_no_model(trained, tmp_path):
    file = tmp_path / "model.safetensors"
    with pytest.raises(gru.InputError, match="does not exist"):
        gru.load_model(file)
    gru.save(trained, file)
    whole = file.read_bytes()

    def load(content):
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            save_file({"w": torch.zeros(2)}, file, content)
        return gru.load_model(file)

    damaged, said = (whole[: len(whole) // 2], whole[:100], b"", b"\x80\x04K\x01."), "is truncated or not a"
    no_fit = ("x", "[]", json.dumps({"name": "small_resnet", "n_classes": 2}))
    cases = [
        *((content, f"{said} safetensors file") for content in damaged),
        ({}, "does not say its architecture"),
        *(({"architecture": text}, "does not fit") for text in no_fit),
        ({"architecture": '{"name": "vgg", "n_classes": 2}'}, "unknown model 'vgg'"),
    ]
    assert not accepted(load, [(content, f"model.safetensors .*{words}") for content, words in cases])


# Samplers


def test_an_epoch_is_cut_from_endless_passes(dataset):
    """Each five draws of the sequence are all five samples once, wherever the epochs end."""
    data, five = dataset([[3, 4], [5, 2]]), [1, 4, 6, 9, 13]

    def draws(epochs, seed=7, **options):
        sampler = Sampler(data, five, **options)
        return np.concatenate([sampler.draw(epoch, seed) for epoch in range(epochs)])

    whole = draws(3, batch_size=5, steps=1)
    assert whole.dtype == np.int64 and Sampler(data, five).length == 5
    assert (np.sort(whole.reshape(3, 5)) == five).all() and not (whole[:5] == whole[5:10]).all()
    for epochs, size, steps in ((5, 3, 1), (1, 5, 3), (2, 4, 2)):
        assert np.array_equal(draws(epochs, batch_size=size, steps=steps)[:15], whole)
    late = Sampler(data, five, batch_size=4, steps=2).draw(1, seed=7)  # a function of seed and epoch alone
    assert np.array_equal(late[:7], whole[8:])
    assert not np.array_equal(draws(3, batch_size=5, steps=1, name="forget"), whole)
    assert not np.array_equal(draws(3, seed=8, batch_size=5, steps=1), whole)


def test_sampler_sizes(dataset):
    data = dataset([[3, 4], [5, 2]])
    samplers = (Sampler(data), Sampler(data, [3, 4, 5], 2), Sampler(data, [3], 64))
    assert [(s.batch_size, s.steps) for s in samplers] == [(14, 1), (2, 2), (1, 1)]
    # groups 0, 1, 1: top-up draws each at least once, the first four times
    topped = Sampler(data, [0, 3, 4], 3, np.array([4.0, 1.0, 1.0]), "top_up")
    times = np.bincount(topped.draw(0, 0), minlength=14)[[0, 3, 4]]
    assert (topped.length, topped.steps) == (6, 2) and times.tolist() == [4, 1, 1]
    assert Sampler(data, [0, 3, 4], 3, np.array([0.0, 0.0, 1.0])).draw(0, 0).tolist() == [4, 4, 4]


def test_ragged_batches(dataset):
    """Every epoch begins a pass, and the last batch of a pass has what is left, also within an epoch."""
    data = dataset([[4, 3]])
    one, three = (Sampler(data, None, 3, steps=steps, ragged=True) for steps in (None, 8))
    assert (one.steps, one.sizes(0), three.sizes(0)) == (3, [3, 3, 1], [3, 3, 1, 3, 3, 1, 3, 3])
    assert Sampler(data, None, 7, steps=2, ragged=True).sizes(0) == [7, 7]
    drawn = [one.draw(epoch, 0) for epoch in range(4)]
    assert all(sorted(draws) == list(range(7)) for draws in drawn) and drawn[0].tolist() != drawn[1].tolist()
    passes = three.draw(0, 0)
    assert len(passes) == 20 and np.array_equal(passes[:14], np.concatenate(drawn[:2]))
    assert np.array_equal(three.draw(1, 0)[:7], drawn[3])
    with Training(gru.build_model("mlp", 2, n_features=1), data, gru.TrainConfig(epochs=1)) as training:
        batches = [batch.index.tolist() for batch in training.batches(0, three)]
        few = [batch.index.tolist() for batch in training.draw(0, three, steps=3)]
    assert [len(batch) for batch in batches] == three.sizes(0) and sum(batches, []) == passes.tolist()
    assert few == batches[:3]


def test_a_fraction_of_steps(dataset):
    """7 steps of 3 in 5 epochs: 2, 1, 2, 1, 1 (the ceilings of 7/5, 14/5 ...), cut from the same passes."""
    data = dataset([[4, 3]])
    sampler = Sampler(data, None, 3, steps=Fraction(7, 5))
    assert [len(sampler.sizes(epoch)) for epoch in range(5)] == [2, 1, 2, 1, 1]
    whole = Sampler(data, None, 3, steps=7).draw(0, 0)
    assert np.array_equal(np.concatenate([sampler.draw(epoch, 0) for epoch in range(5)]), whole)
    none = Sampler(data, None, 3, steps=Fraction(1, 2))
    assert none.draw(1, 0).tolist() == [] and none.draw(1, 0).dtype == np.int64


def test_a_limit_of_steps():
    """By hand: 4 epochs of 10 and 2 of 5 are 50; of 25 steps, 5 are the other pass's."""
    config = gru.TrainConfig(epochs=4, warmup_epochs=0, steps=25)
    assert config.limited(10, 5, 2) == (Fraction(20, 4), Fraction(5, 2))
    assert config.limited(10) == (Fraction(25, 4), 0) and config.limited(6, 0, 0) == (6, 0)
    assert gru.TrainConfig(epochs=4).limited(10, 5, 2) == (10, 5)


def test_sampling_and_weights_that_contradict_each_other(dataset):
    data = dataset([[3, 4]])
    said = "sampling='{}' and {} contradict each other: replacement and top_up draw by weights"
    cases = [
        (None, None, 64, None, name, said.format(name, "weights=None")) for name in ("replacement", "top_up")
    ]
    cases += [(None, None, 64, np.ones(7), "none", said.format("none", "weights"))]
    assert not accepted(lambda _, *rest: Sampler(data, *rest), cases)
    assert (Sampler(data).sampling, Sampler(data, weights=np.ones(7)).sampling) == ("none", "replacement")


# Batches


@given(st.integers(0, 4), st.data())
def test_shifts_are_crops_of_the_mirrored_image(shift, data):
    """Of images that are wider than high; on the device or streamed, bit for bit alike."""
    rng = np.random.default_rng(shift)
    images = rng.integers(0, 256, (5, 3, 7, 9), dtype=np.uint8)
    dataset = gru.GroupedDataset(np.zeros(5, int), np.zeros(5, int), ("a",), ("b",), images=images)
    index = np.array(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6)))
    offsets = rng.integers(0, 2 * shift + 1, (len(index), 2))
    mirrored = np.pad(images, ((0, 0), (0, 0), (shift, shift), (shift, shift)), mode="reflect")
    crops = [mirrored[i, :, y : y + 7, x : x + 9] for i, (y, x) in zip(index, offsets)]
    resident, streamed = (device_data(dataset, "cpu", shift, resident) for resident in (True, False))
    assert resident.inputs is not None and streamed.inputs is None
    for windows, pixels in ((offsets, np.stack(crops)), (None, images[index])):
        expected = torch.from_numpy(pixels).float().div(127.5).sub(1)
        for of in (resident, streamed):
            x, _ = of.take(torch.from_numpy(index), None if windows is None else torch.from_numpy(windows))
            assert torch.equal(x, expected) and torch.equal(
                torch.cat([*of.stream(index, 2, windows)]), expected
            )
            assert x.is_contiguous(memory_format=torch.channels_last)


def test_images_streamed_in_blocks(bench, monkeypatch):
    """A training whose images are streamed, a block or all at once, takes the same batches."""
    resident, streamed = (device_data(bench.train, "cpu", 2, resident) for resident in (True, False))
    draws, rng = np.random.default_rng(0).integers(0, 200, 70), np.random.default_rng(1)
    windows = resident.windows(draws, rng)
    for block in (1, 3072 * 40, 2**27):  # a batch, two, all at once
        monkeypatch.setattr("gru_lite.train.device.BLOCK", block)
        for chosen in (windows, None):
            pairs = zip(resident.stream(draws, 16, chosen), streamed.stream(draws, 16, chosen), strict=True)
            assert [len(a) for a, b in pairs if torch.equal(a, b)] == [16, 16, 16, 16, 6]
    _, y = streamed.take(torch.arange(4))
    assert y.tolist() == bench.train.target[:4].tolist()


def test_a_shift_larger_than_the_image():
    images = gru.GroupedDataset([0], [0], ("a",), ("b",), images=np.zeros((1, 3, 2, 2), np.uint8))
    with pytest.raises(gru.InputError, match="2x2 pixels cannot be shifted by 2"):
        gru.fit(gru.build_model("small_resnet", 1), images)


def test_two_samplers_side_by_side(trained, bench, config):
    """Each has the batches that it has alone, and the learning rate follows the first."""
    retain = Sampler(bench.train, range(100), 32)
    forget = Sampler(bench.train, range(100, 120), 8, steps=4, name="forget")
    with Training(trained, bench.train, config, seed=3) as training:
        pairs, rates = [], []
        for pair in training.batches(1, retain, forget):
            pairs.append(pair)
            rates.append(training.optimizer.param_groups[0]["lr"])
        alone = [list(training.batches(1, retain)), list(training.batches(1, forget, main=False))]
        for batch, expected in zip(sum(map(list, zip(*pairs)), []), sum(alone, []), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(batch[:3], expected[:3]))
        assert {type(pair) for pair in pairs} == {tuple} and [len(near.y) for near, _ in pairs] == [32] * 4
        assert rates == [config.lr_at(4 + i, 4) for i in range(4)] and len(set(rates)) == 4
        unnamed, short = (
            Sampler(bench.train, range(9), 8, steps=4),
            Sampler(bench.train, range(9), 8, name="short"),
        )
        cases = [
            (unnamed, r"the samplers order, order have \[4\] steps: each sampler needs a name of its own"),
            (short, r"the samplers order, short have \[2, 4\] steps: .* as many steps as the first"),
        ]
        assert not accepted(lambda other: next(training.batches(0, retain, other)), cases)


# Training


def test_learning_rate_by_hand():
    config = gru.TrainConfig(epochs=4, warmup_epochs=1, lr=0.8)
    rates = [config.lr_at(step, steps_per_epoch=2) for step in range(8)]
    # two steps up: 1/2 and 2/2; then half a cosine over six steps: .8 * (1 + cos(pi k / 6)) / 2, k = 0 to 5
    expected = [0.4, 0.8, 0.8, 0.7464, 0.6, 0.4, 0.2, 0.0536]
    assert rates == pytest.approx(expected, abs=1e-4)
    constant = replace(config, schedule="const")
    assert [constant.lr_at(step, 2) for step in range(8)] == pytest.approx([0.4, 0.8, *[0.8] * 6])
    assert gru.TrainConfig(epochs=1, warmup_epochs=0).lr_at(0, 5) == 0.05
    released = replace(config, lr_changes="epoch")  # from 0, and then for a whole epoch
    cosine = [0.8 * 0.5 * (1 + math.cos(math.pi * epoch / 3)) for epoch in range(3)]
    rates = [released.lr_at(step, 2) for step in range(8)]
    assert rates == pytest.approx([0, 0.4, *np.repeat(cosine, 2)])


def test_configurations_that_are_refused():
    bad = {
        "epochs": (0, 1.5, True),
        "batch_size": (1,),
        "warmup_epochs": (-1,),
        "shift": (-1,),
        "threads": (0,),
        "lr": (-0.1, float("nan")),
        "momentum": ("0.9",),
        "weight_decay": (float("inf"),),
        "schedule": ("cosin",),
        "precision": ("half",),
        "optimizer": ("adam",),
        "augment": (1,),
        "compile": ("yes",),
    }
    cases = [(field, value, field) for field, values in bad.items() for value in values]
    assert not accepted(lambda field, value: gru.TrainConfig(**{field: value}), cases)


def test_fit_is_plain_sgd(features):
    """The loop, written out with torch alone: same weights after two epochs of warm-up and decay.

    Our momentum buffers begin as zeros, torch's with the first gradient: the first step is the same, too.
    """
    start = gru.build_model("mlp", 2, n_features=5)
    config = gru.TrainConfig(epochs=2, warmup_epochs=1, batch_size=100, lr=0.1)
    sampler = Sampler(features, batch_size=100)
    draws = torch.from_numpy(np.concatenate([sampler.draw(epoch, seed=3) for epoch in range(2)])).split(100)

    model = copy.deepcopy(start)
    optimizer, states = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=5e-3), []
    x, y = torch.from_numpy(features.features), torch.from_numpy(features.target)
    for step, batch in enumerate(draws):  # three steps an epoch
        optimizer.param_groups[0]["lr"] = config.lr_at(step, 3)
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
        states.append(weights_of(model))

    with Training(start, features, config, seed=3) as training:
        kept = training.optimizer.state.values()
        assert len(kept) == 4 and not any(state["momentum_buffer"].any() for state in kept)
        first = next(training.batches(0, sampler))
        training.step(F.cross_entropy(training.logits(first), first.y))
        assert torch.equal(weights_of(training.model), states[0])
    fitted = gru.fit(start, features, config=config, seed=3)
    assert same(fitted, model) and torch.equal(weights_of(fitted), states[-1])
    assert np.mean(gru.predict(fitted, features).argmax(1) == features.target) > 0.9  # chance is .5


def test_it_learns_and_takes_the_shortcut(model):
    """Balanced groups: well above chance. Else the background is learnt, and the small groups pay for it."""

    def table(counts):
        bench = gru.waterdigits(0, train_counts=counts, val_count=1, test_count=100)
        config = gru.TrainConfig(epochs=6, warmup_epochs=1, batch_size=32)
        right = (
            gru.predict(gru.fit(model, bench.train, config=config), bench.test).argmax(1) == bench.test.target
        )
        return gru.accuracy_table(right, bench.test.target, bench.test.sensitive)

    # chance is 50; over 400 images the standard error is 2.5. Eight seeds: 81 or more, 99 or more, up to 3
    assert table(((150, 150), (150, 150))).mean() > 65
    unbalanced = table(((285, 15), (15, 285)))
    assert np.diag(unbalanced).mean() > 85 and np.diag(unbalanced[::-1]).mean() < 50


def test_fit_leaves_its_input_alone(model, bench, config, trained, two_threads):
    """And the seed alone decides what comes out, whatever the global state is."""
    before, mode = copy.deepcopy(model), model.training
    images, target = bench.train.images.copy(), bench.train.target.copy()
    torch.manual_seed(123)
    rng = torch.get_rng_state()
    fitted = gru.fit(model, bench.train, config=config)
    assert fitted is not model and not fitted.training and not same(fitted, model)
    assert same(model, before) and model.training == mode and all(p.grad is None for p in model.parameters())
    assert np.array_equal(bench.train.images, images) and np.array_equal(bench.train.target, target)
    assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), rng)
    assert same(fitted, trained) and not same(gru.fit(model, bench.train, config=config, seed=1), trained)


def test_weights_and_sampling_matter(model, bench, config, split):
    retain = {
        "indices": split.retain,
        "config": replace(config, epochs=1, warmup_epochs=0),
        "steps_per_epoch": 3,
    }
    options = ({}, {"weights": gru.reweight(split)}, {"weights": gru.reweight(split), "sampling": "top_up"})
    plain, drawn, topped = (gru.fit(model, bench.train, **retain, **extra) for extra in options)
    assert not same(plain, drawn) and not same(plain, topped) and not same(drawn, topped)


def test_forgotten_images_are_never_seen(model, bench, config, split):
    """Replacing the forgotten images by noise changes nothing that is trained on the others."""
    images = bench.train.images.copy()
    images[split.forget] = 255 - images[split.forget]
    other = replace(bench.train, images=images)
    for weights in (None, gru.reweight(split)):
        retain = {"indices": split.retain, "weights": weights, "config": config}
        assert same(*(gru.fit(model, data, **retain) for data in (bench.train, other)))


def test_fit_refuses(model, bench, config):
    cases = [
        ({"weights": np.ones(199)}, "weights must be 200"),
        ({"weights": np.zeros(200)}, "weights"),
        ({"weights": np.full(200, np.nan)}, "weights"),
        ({"weights": -np.ones(200)}, "weights"),
        ({"indices": [0, 1], "weights": np.ones(200)}, "weights must be 2"),
        ({"indices": [200]}, "0 to 199"),
        ({"indices": [-1]}, "0 to 199"),
        ({"indices": []}, "at least one"),
        ({"indices": [0.5]}, "whole numbers"),
        ({"indices": np.ones(200, bool)}, "whole numbers"),  # a mask is no list of samples
        ({"sampling": "topup"}, "did you mean 'top_up'"),
        ({"sampling": "top_up"}, "sampling='top_up' and weights=None contradict each other"),
        ({"seed": -1}, "seed -1"),
    ]
    assert not accepted(lambda options: gru.fit(model, bench.train, config=config, **options), cases)


def test_divergence_is_said(model, bench):
    with pytest.raises(gru.DivergedError, match=r"diverged in epoch 1.*lower lr \(10000000000.0\)"):
        gru.fit(model, bench.train, config=gru.TrainConfig(epochs=2, warmup_epochs=0, lr=1e10))


def test_bfloat16_is_another_result(model, bench, config, trained):
    half = gru.fit(model, bench.train, config=replace(config, precision="bfloat16"))
    assert not same(half, trained) and all(p.dtype == torch.float32 for p in half.parameters())
    with Training(trained, bench.train, replace(config, precision="bfloat16")) as training:
        (batch,) = training.batches(0, Sampler(bench.train, range(8)))
        assert {tensor.dtype for tensor in training.forward(batch)} == {torch.float32}


def test_training_by_hand(trained, bench, config):
    """A changed gradient, a rate for each pass, held statistics, and the mode of what comes out."""
    everything, some = Sampler(bench.train), Sampler(bench.train, [3, 1, 4], name="forget")
    plain = replace(config, lr=0.4, warmup_epochs=0)
    with Training(trained, bench.train, plain, hold_statistics=True) as training:
        assert training.model.training and not training.model.backbone[1].training
        rates = []
        for main, sampler in ((False, some), (True, everything)):
            for batch in training.batches(1, sampler, main=main):
                rates.append(training.optimizer.param_groups[0]["lr"])
                assert torch.equal(batch.y, torch.from_numpy(bench.train.target)[batch.index])
                weights = weights_of(training.model)
                loss = F.cross_entropy(training.logits(batch), batch.y)
                training.step(loss, gradients=training.model.zero_grad)
                # no gradient at all: not even weight decay
                assert torch.equal(weights_of(training.model), weights)
        # the second of two epochs: half of the cosine is over
        cosine = [0.4 * (1 + math.cos(math.pi * (4 + i) / 8)) / 2 for i in range(4)]
        assert rates == pytest.approx([0.2, *cosine])
        training.end_epoch(1)
        assert training.losses == []
    fitted = training.finish()
    assert same(fitted, trained) and not fitted.training and fitted.training_seconds > 0


def test_the_last_good_model(trained, bench, config):
    """A loss that is not finite in the third epoch: the model of the second comes back."""
    sampler = Sampler(bench.train, range(64))
    threads = torch.get_num_threads()
    said = r"training diverged in epoch 3, step 1 of 1: the loss is nan; lower lr \(0.05\)"
    with pytest.raises(gru.DivergedError, match=said) as caught:
        with Training(trained, bench.train, config) as training:
            for epoch in range(3):
                good = copy.deepcopy(training.model)
                (batch,) = training.batches(epoch % 2, sampler)
                loss = F.cross_entropy(training.logits(batch), batch.y)
                training.step(loss * (math.nan if epoch == 2 else 1))
                training.end_epoch(epoch)
    assert same(caught.value.model, good) and not same(good, trained) and torch.get_num_threads() == threads


def test_hold_statistics_of_a_part(trained):
    model = copy.deepcopy(trained).train()
    hold_statistics_of(model.backbone[3])
    held = [name for name, module in model.named_modules() if not module.training]
    assert held == ["backbone.3.norm1", "backbone.3.norm2"]


# Checkpoints


def stopped(monkeypatch, epoch):
    """Make training stop right after the checkpoint of `epoch` is written."""

    def write_and_stop(*arguments):
        write_checkpoint(*arguments)
        if arguments[3] == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "write_checkpoint", write_and_stop)


@pytest.mark.parametrize("sampling", [None, "replacement", "top_up"])
def test_an_interrupted_training_ends_the_same(sampling, model, bench, split, tmp_path, monkeypatch):
    training = {"indices": split.retain, "config": gru.TrainConfig(epochs=4, warmup_epochs=1), "seed": 5}
    if sampling:
        training |= {"weights": gru.reweight(split), "sampling": sampling}
    whole = gru.fit(model, bench.train, **training)
    file = tmp_path / "deep" / "checkpoint.safetensors"
    for epoch in (1, 3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            stopped(patch, epoch)
            gru.fit(model, bench.train, checkpoint=file, **training)
        assert file.is_file()
    assert same(gru.fit(model, bench.train, checkpoint=file, **training), whole)
    # nothing but the checkpoint of the finished training, which is returned at once
    assert list(file.parent.iterdir()) == [file]
    assert same(gru.fit(model, bench.train, checkpoint=file, **training | {"seed": np.int64(5)}), whole)


def test_a_resumed_optimiser_lies_in_memory_as_its_weights_do(model, bench, config, tmp_path):
    """channels_last included: a fused step walks weights and momentum as they lie; the file holds rows."""
    file = tmp_path / "checkpoint.safetensors"
    with Training(model, bench.train, config) as training:
        (batch,) = training.batches(0, Sampler(bench.train, range(8)))
        training.step(F.cross_entropy(training.logits(batch), batch.y))
        write_checkpoint(file, "mark", training, 1, (-1.0, {}))
    again = Training(model, bench.train, config)
    assert resume(file, "mark", again)[0] == 1 and same(again.model, training.model)
    with pytest.raises(gru.DivergedError) as caught:  # the last good model is the one that was written
        again.diverged("at once")
    assert same(caught.value.model, training.model) and not same(training.model, model)
    again.model.train()
    changed = 0
    for weight, mine in zip(training.model.parameters(), again.model.parameters()):
        kept, read = (t.optimizer.state[w]["momentum_buffer"] for t, w in ((training, weight), (again, mine)))
        assert torch.equal(read, kept) and read.any() and read.stride() == mine.stride() == weight.stride()
        changed += not mine.is_contiguous()
    assert changed == 7  # every convolution but the two of 1 x 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="skipped: no fork")
def test_a_killed_training_ends_the_same(model, bench, tmp_path, monkeypatch):
    file, config = tmp_path / "checkpoint.safetensors", gru.TrainConfig(epochs=3, warmup_epochs=1)

    def write_and_die(*arguments):
        write_checkpoint(*arguments)
        if arguments[3] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    process = os.fork()
    if process == 0:
        try:
            monkeypatch.setattr(fitting, "write_checkpoint", write_and_die)
            gru.fit(model, bench.train, config=config, checkpoint=file)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL and file.is_file()
    whole = gru.fit(model, bench.train, config=config)
    assert same(gru.fit(model, bench.train, config=config, checkpoint=file), whole)


def test_a_checkpoint_is_continued_by_its_own_training_only(
    model, bench, split, config, tmp_path, monkeypatch
):
    file = tmp_path / "checkpoint.safetensors"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stopped(patch, 1)
        gru.fit(model, bench.train, config=config, checkpoint=file)
    kept = file.read_bytes()
    images = bench.train.images.copy()
    images[100, 0, 0, 0] ^= 1
    changes = (
        {"seed": 1},
        {"config": replace(config, lr=0.04)},
        {"indices": split.retain},
        {"weights": np.ones(200)},
        {"steps_per_epoch": 3},
        {"model": gru.build_model("small_resnet", 2, seed=1)},
        {"dataset": replace(bench.train, images=images)},
        {"dataset": replace(bench.train, sensitive=1 - bench.train.sensitive)},
    )

    def fit(change, content=kept):
        file.write_bytes(content)
        return gru.fit(
            **{"model": model, "dataset": bench.train, "config": config, "checkpoint": file} | change
        )

    another, damaged = "is a checkpoint of another training", (kept[: len(kept) // 2], b"")
    cases = [
        *((change, f"checkpoint.safetensors {another}") for change in changes),
        *(({}, content, "checkpoint.safetensors is truncated") for content in damaged),
    ]
    assert not accepted(fit, cases) and file.read_bytes() == damaged[-1]


# Prediction


def test_predict(trained, bench):
    logits = gru.predict(trained, bench.test)
    assert logits.shape == (120, 2) and logits.dtype == np.float32
    with torch.no_grad():
        x = torch.from_numpy(bench.test.images).float() / 127.5 - 1
        np.testing.assert_allclose(logits, trained(x), atol=1e-4)
    order = [5, 3, 3, 100]
    some = gru.predict(trained, bench.test, order, batch_size=3)
    np.testing.assert_allclose(some, logits[order], atol=1e-5)


def test_predictions_in_half_precision_by_hand(dataset):
    """A linear model: weights, inputs and outputs rounded to bfloat16, sums in float32."""
    model = gru.Classifier(torch.nn.Identity(), torch.nn.Linear(2, 2))
    values = np.linspace(-1.001, 1.003, 14, dtype=np.float32).reshape(7, 2)
    data = replace(dataset([[4, 3]]), features=values, images=None)
    rounded = [tensor.bfloat16().double() for tensor in (torch.from_numpy(values), *model.head.parameters())]
    x, weight, bias = rounded
    expected = (x @ weight.T + bias).detach()
    found = torch.from_numpy(gru.predict(model, data, precision="bfloat16"))
    assert torch.equal(found, found.bfloat16().float())  # numbers that bfloat16 can hold
    torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=1e-3)
    assert not np.array_equal(found, gru.predict(model, data))


def test_predict_leaves_the_model_where_and_as_it_was(trained, bench, two_threads):
    for mode in (True, False):
        model = copy.deepcopy(trained).train(mode)
        model.backbone[1].train(not mode)
        before, modes = copy.deepcopy(model), [module.training for module in model.modules()]
        lay = [(p.device, p.data_ptr(), p.requires_grad) for p in model.parameters()]
        first = gru.predict(model, bench.val)
        assert [module.training for module in model.modules()] == modes and same(model, before)
        assert [(p.device, p.data_ptr(), p.requires_grad) for p in model.parameters()] == lay
        assert torch.get_num_threads() == 2 and np.array_equal(first, gru.predict(model, bench.val))


def test_a_model_of_ones_own(trained, bench):
    """What a class of one's own computes is what every pass sees."""

    class Doubled(gru.Classifier):
        def features(self, x):
            return 2 * super().features(x)

        def forward(self, x):
            return super().forward(x) + 1

    model = Doubled(trained.backbone, trained.head)
    z = gru.extract_features(trained, bench.val)
    np.testing.assert_allclose(gru.extract_features(model, bench.val), 2 * z, rtol=1e-6)
    with torch.no_grad():
        expected = trained.head(torch.from_numpy(2 * z)) + 1
    np.testing.assert_allclose(gru.predict(model, bench.val), expected, atol=1e-5)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(trained, bench, split, config):
    """Same logits to rounding, and a training whose draws and shifts are those of the CPU."""
    first, second = (gru.predict(trained, bench.test, device=device) for device in ("cuda", "cpu"))
    assert np.abs(first - second).max() < 1e-3 and next(trained.parameters()).device.type == "cpu"
    one_step = {"config": replace(config, epochs=1, warmup_epochs=0, lr=1e-3), "steps_per_epoch": 1}
    retain = {"indices": split.retain, "weights": gru.reweight(split)} | one_step
    models = [gru.fit(trained, bench.train, **retain, device=device) for device in ("cpu", "cuda")]
    first, second = (gru.predict(model, bench.test) for model in models)
    assert np.abs(first - second).max() < 1e-2
