"""Models, the training loop, checkpoints and the prediction pass."""

import copy
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gru_lite.batches import DeviceData
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import gru_lite as gru
from gru_lite.train import Sampler


def same(first, second):
    """Bit for bit, buffers included."""
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


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
    # stem 3*16*9 + 2*16; block 16: 2*16*16*9 + 4*16; block 32: 16*32*9 + 32*32*9 + 4*32 and shortcut 16*32 +
    # 2*32; block 64: 32*64*9 + 64*64*9 + 4*64 and shortcut 32*64 + 2*64; head 64*2 + 2 464 + 4672 + 14528 +
    # 57728 + 130 = 77522
    assert sum(p.numel() for p in model.parameters()) == 77_522


def test_head_of_features(trained, bench):
    x, _ = DeviceData(bench.test, "cpu").take(torch.arange(8))
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
    with pytest.raises(gru.InputError, match="unknown model 'small_resnt': did you mean 'small_resnet'"):
        gru.build_model("small_resnt", 2)
    with pytest.raises(gru.InputError, match="seed -1"):
        gru.build_model("mlp", 2, seed=-1, n_features=3)


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
    for damaged in (whole[: len(whole) // 2], whole[:100], b"", b"\x80\x04K\x01."):
        file.write_bytes(damaged)
        with pytest.raises(gru.InputError, match="model.safetensors is truncated or not a safetensors file"):
            gru.load_model(file)
    weights = {"w": torch.zeros(2)}
    for metadata, culprit in [
        ({}, "does not say its architecture"),
        ({"architecture": "x"}, "does not fit"),
        ({"architecture": "[]"}, "does not fit"),
        ({"architecture": '{"name": "vgg", "n_classes": 2}'}, "unknown model 'vgg'"),
        ({"architecture": '{"name": "small_resnet", "n_classes": 2}'}, "does not fit"),
    ]:
        save_file(weights, file, metadata)
        with pytest.raises(gru.InputError, match=culprit) as caught:
            gru.load_model(file)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)


# Batches


@given(st.integers(0, 4), st.data())
def test_shifts_are_crops_of_the_mirrored_image(shift, data):
    rng = np.random.default_rng(shift)
    images = rng.integers(0, 256, (5, 3, 7, 9), dtype=np.uint8)
    dataset = gru.GroupedDataset(np.zeros(5, int), np.zeros(5, int), ("a",), ("b",), images=images)
    index = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    offsets = rng.integers(0, 2 * shift + 1, (len(index), 2))
    x, y = DeviceData(dataset, "cpu", shift).take(torch.tensor(index), torch.tensor(offsets))
    assert x.dtype == torch.float32 and x.shape == (len(index), 3, 7, 9)
    for got, i, (row, column) in zip(x, index, offsets):
        mirrored = np.pad(images[i], ((0, 0), (shift, shift), (shift, shift)), mode="reflect")
        crop = mirrored[:, row : row + 7, column : column + 9]
        np.testing.assert_allclose(got, crop / 127.5 - 1, atol=1e-6)
    unshifted, _ = DeviceData(dataset, "cpu", shift).take(torch.tensor(index))
    np.testing.assert_allclose(unshifted, images[index] / 127.5 - 1, atol=1e-6)


def test_batches_are_channels_last(bench):
    x, y = DeviceData(bench.train, "cpu", 2).take(torch.arange(4), torch.zeros(4, 2, dtype=torch.long))
    assert (
        x.is_contiguous(memory_format=torch.channels_last) and y.tolist() == bench.train.target[:4].tolist()
    )


def test_a_shift_larger_than_the_image():
    images = gru.GroupedDataset([0], [0], ("a",), ("b",), images=np.zeros((1, 3, 2, 2), np.uint8))
    with pytest.raises(gru.InputError, match="2x2 pixels cannot be shifted by 2"):
        gru.fit(gru.build_model("small_resnet", 1), images)


def test_an_epoch_is_cut_from_endless_passes(features):
    """Fifteen draws from passes over five samples, in epochs of three or of five.

    The same, and each pass a permutation.
    """
    five = [3, 10, 20, 40, 50]
    whole = np.concatenate(
        [Sampler(features, five, batch_size=5, steps=1).draw(epoch, seed=7) for epoch in range(3)]
    )
    parts = np.concatenate(
        [Sampler(features, five, batch_size=3, steps=1).draw(epoch, seed=7) for epoch in range(5)]
    )
    assert np.array_equal(parts, whole)
    assert (np.sort(whole.reshape(3, 5)) == five).all() and not (whole[:5] == whole[5:10]).all()
    assert not np.array_equal(
        whole, np.concatenate([Sampler(features, five, 5, steps=3, name="other").draw(0, seed=7)])
    )


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


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": True},
        {"batch_size": 1},
        {"warmup_epochs": -1},
        {"shift": -1},
        {"threads": 0},
        {"lr": -0.1},
        {"lr": float("nan")},
        {"momentum": "0.9"},
        {"weight_decay": float("inf")},
        {"schedule": "cosin"},
        {"precision": "half"},
    ],
)
def test_configurations_that_are_refused(change):
    with pytest.raises(gru.InputError, match=next(iter(change))):
        gru.TrainConfig(**change)


def test_fit_is_plain_sgd(features):
    """The loop, written out with torch alone: same weights after two epochs of warm-up and decay."""
    start = gru.build_model("mlp", 2, n_features=5)
    config = gru.TrainConfig(epochs=2, warmup_epochs=1, batch_size=100, lr=0.1)
    fitted = gru.fit(start, features, config=config, seed=3)

    model = copy.deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=5e-3)
    draws = torch.from_numpy(
        np.concatenate([Sampler(features, batch_size=100).draw(epoch, seed=3) for epoch in range(2)])
    )
    x, y = torch.from_numpy(features.features), torch.from_numpy(features.target)
    for step, batch in enumerate(draws.split(100)):  # three steps an epoch
        optimizer.param_groups[0]["lr"] = config.lr_at(step, 3)
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    assert same(fitted, model)
    assert np.mean(gru.predict(fitted, features).argmax(1) == features.target) > 0.9  # chance is .5


def test_it_learns_and_takes_the_shortcut(model):
    """Balanced groups: well above chance.

    Unbalanced ones: the background is learnt, and the small groups pay for it.
    """

    def tables(counts):
        bench = gru.waterdigits(0, train_counts=counts, val_count=1, test_count=100)
        fitted = gru.fit(model, bench.train, config=gru.TrainConfig(epochs=8, warmup_epochs=1), seed=0)
        right = gru.predict(fitted, bench.test).argmax(1) == bench.test.target
        return gru.accuracy_table(right, bench.test.target, bench.test.sensitive)

    assert tables(((250, 250), (250, 250))).mean() > 65  # chance is 50; 400 images: standard error 2.5
    unbalanced = tables(((470, 30), (30, 470)))
    assert np.diag(unbalanced).mean() > 85 and np.diag(unbalanced[::-1]).mean() < 50


def test_fit_leaves_its_input_alone(model, bench, config, two_threads):
    before, mode = copy.deepcopy(model), model.training
    images, target = bench.train.images.copy(), bench.train.target.copy()
    rng = torch.get_rng_state()
    fitted = gru.fit(model, bench.train, config=config)
    assert fitted is not model and not fitted.training and not same(fitted, model)
    assert same(model, before) and model.training == mode and all(p.grad is None for p in model.parameters())
    assert np.array_equal(bench.train.images, images) and np.array_equal(bench.train.target, target)
    assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), rng)


def test_the_seed_decides(model, bench, config, trained):
    torch.manual_seed(123)  # the global state does not matter
    assert same(gru.fit(model, bench.train, config=config, seed=0), trained)
    assert not same(gru.fit(model, bench.train, config=config, seed=1), trained)


def test_weights_and_sampling_matter(model, bench, config, split):
    retain = {"indices": split.retain, "config": config, "steps_per_epoch": 3}
    weights = gru.reweight(split)
    plain, drawn, topped = (
        gru.fit(model, bench.train, **retain, **extra)
        for extra in ({}, {"weights": weights}, {"weights": weights, "sampling": "top_up"})
    )
    assert not same(plain, drawn) and not same(plain, topped) and not same(drawn, topped)


def test_forgotten_images_are_never_seen(model, bench, config, split):
    """Replacing the forgotten images by noise changes nothing that is trained on the others."""
    images = bench.train.images.copy()
    images[split.forget] = 255 - images[split.forget]
    other = gru.GroupedDataset(
        bench.train.target, bench.train.sensitive, ("a", "b"), ("c", "d"), images=images
    )
    for weights in (None, gru.reweight(split)):
        first, second = (
            gru.fit(model, d, indices=split.retain, weights=weights, config=config)
            for d in (bench.train, other)
        )
        assert same(first, second)


@pytest.mark.parametrize(
    "arguments, culprit",
    [
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
        ({"seed": -1}, "seed -1"),
    ],
)
def test_fit_refuses(arguments, culprit, model, bench, config):
    with pytest.raises(gru.InputError, match=culprit):
        gru.fit(model, bench.train, config=config, **arguments)


def test_divergence_is_said(model, bench):
    with pytest.raises(gru.DivergedError, match=r"diverged in epoch 1.*lower lr \(10000000000.0\)"):
        gru.fit(model, bench.train, config=gru.TrainConfig(epochs=2, warmup_epochs=0, lr=1e10))


def test_bfloat16_is_another_result(model, bench, config, trained):
    half = gru.fit(model, bench.train, config=replace(config, precision="bfloat16"))
    assert not same(half, trained) and all(p.dtype == torch.float32 for p in half.parameters())


# Checkpoints


def stopped(monkeypatch, epoch):
    """Make training stop right after the checkpoint of `epoch` is written."""
    from gru_lite import train

    write = train._write_checkpoint

    def write_and_stop(*arguments):
        write(*arguments)
        if arguments[3] == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "_write_checkpoint", write_and_stop)


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
    assert list(file.parent.iterdir()) == [
        file
    ]  # nothing but the checkpoint of the finished training, which is returned at once
    assert same(gru.fit(model, bench.train, checkpoint=file, **training | {"seed": np.int64(5)}), whole)


KILLED = """
import os, signal, sys
import gru_lite as gru
from gru_lite import train
write = train._write_checkpoint
def write_and_die(*arguments):
    write(*arguments)
    if arguments[3] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
train._write_checkpoint = write_and_die
bench = gru.waterdigits(0, train_counts=((70, 30), (30, 70)), val_count=20, test_count=30)
gru.fit(gru.build_model("small_resnet", 2), bench.train, config=gru.TrainConfig(epochs=3, warmup_epochs=1), checkpoint=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_training_ends_the_same(model, bench, tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    done = subprocess.run([sys.executable, "-c", KILLED, str(file)], capture_output=True)
    assert done.returncode == -signal.SIGKILL and file.is_file()
    config = gru.TrainConfig(epochs=3, warmup_epochs=1)
    assert same(
        gru.fit(model, bench.train, config=config, checkpoint=file),
        gru.fit(model, bench.train, config=config),
    )


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
    names = (bench.target_names, bench.sensitive_names)
    pixel = gru.GroupedDataset(bench.train.target, bench.train.sensitive, *names, images=images)
    groups = gru.GroupedDataset(
        bench.train.target, 1 - bench.train.sensitive, *names, images=bench.train.images
    )
    default = {"model": model, "dataset": bench.train, "config": config}
    for change in (
        {"seed": 1},
        {"config": replace(config, lr=0.04)},
        {"indices": split.retain},
        {"weights": np.ones(200)},
        {"steps_per_epoch": 3},
        {"model": gru.build_model("small_resnet", 2, seed=1)},
        {"dataset": pixel},
        {"dataset": groups},
    ):
        with pytest.raises(
            gru.InputError, match="checkpoint.safetensors is a checkpoint of another training"
        ):
            gru.fit(checkpoint=file, **default | change)
        assert file.read_bytes() == kept
    for damaged in (kept[: len(kept) // 2], b""):
        file.write_bytes(damaged)
        with pytest.raises(gru.InputError, match="checkpoint.safetensors is truncated") as caught:
            gru.fit(checkpoint=file, **default)
        assert "\n" not in str(caught.value)


# Prediction


def test_predict(trained, bench):
    logits = gru.predict(trained, bench.test)
    assert logits.shape == (120, 2) and logits.dtype == np.float32
    with torch.no_grad():
        x = torch.from_numpy(bench.test.images).float() / 127.5 - 1
        np.testing.assert_allclose(logits, trained(x), atol=1e-4)
    order = [5, 3, 3, 100]
    np.testing.assert_allclose(
        gru.predict(trained, bench.test, order, batch_size=3), logits[order], atol=1e-5
    )


@pytest.mark.parametrize("mode", [True, False])
def test_predict_leaves_everything_as_it_was(mode, trained, bench, two_threads):
    model = copy.deepcopy(trained).train(mode)
    before = copy.deepcopy(model)
    first = gru.predict(model, bench.val)
    assert model.training == mode and same(model, before) and torch.get_num_threads() == 2
    assert np.array_equal(first, gru.predict(model, bench.val))


# Methods


def test_unlearn(trained, bench, split, config):
    before = copy.deepcopy(trained)
    tuning = gru.METHODS["finetune"][1](epochs=1)
    first, second, plain, topped = (
        gru.unlearn("finetune", trained, bench.train, split, tuning, **extra)
        for extra in ({}, {}, {"reweight": False}, {"sampling": "top_up"})
    )
    assert same(first, second) and not same(first, plain) and not same(first, topped)
    assert same(trained, before) and not same(first, trained) and not first.training


def test_unlearn_refuses(trained, bench, split, config):
    with pytest.raises(gru.InputError, match="unknown method 'fintune': did you mean 'finetune'"):
        gru.unlearn("fintune", trained, bench.train, split)
    with pytest.raises(gru.InputError, match="finetune takes a FinetuneConfig, not a TrainConfig"):
        gru.unlearn("finetune", trained, bench.train, split, config)
    with pytest.raises(gru.InputError, match="the split is of other data"):
        gru.unlearn("finetune", trained, bench.val, split)
    whole = gru.forget_split(bench.train, [(1, 0)], 1)
    with pytest.raises(gru.InputError, match=r"group \(1, 0\) hole on land is forgotten whole"):
        gru.unlearn("finetune", trained, bench.train, whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no GPU")
def test_gpu_agrees_with_cpu(trained, bench, split, config):
    """Same logits to rounding, and a training whose draws and shifts are those of the CPU."""
    on_gpu = copy.deepcopy(trained).cuda()
    assert np.abs(gru.predict(on_gpu, bench.test) - gru.predict(trained, bench.test)).max() < 1e-3
    one_step = replace(config, epochs=1, warmup_epochs=0, lr=1e-3)
    models = [
        gru.fit(
            trained,
            bench.train,
            config=one_step,
            indices=split.retain,
            weights=gru.reweight(split),
            steps_per_epoch=1,
            seed=0,
            device=device,
        )
        for device in ("cpu", "cuda")
    ]
    first, second = (gru.predict(model, bench.test) for model in models)
    assert np.abs(first - second).max() < 1e-2
