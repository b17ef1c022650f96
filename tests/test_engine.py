"""Images with a view: crops, streaming and cached outputs; the published models; several processes."""

import copy
import functools
import gc
import os
import re
import socket
import sys
import urllib.error
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import accepted
from scipy.stats import ks_2samp
from sklearn.datasets import load_sample_images
from torchvision.transforms import v2

import gru_lite as gru
from gru_lite.data import View
from gru_lite.methods.eu_k import layers_of, reset_last
from gru_lite.seeding import stream
from gru_lite.train import Original, Sampler, Training, check_precision, device_data, fitting, parallel
from gru_lite.train.crops import RATIO, SCALE, evaluation_windows, random_crops, resample


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def changed_names(model, before):
    pairs = zip(model.state_dict().items(), before.state_dict().values())
    return {name for (name, after), tensor in pairs if not torch.equal(after, tensor)}


@pytest.fixture(scope="module")
def photographs():
    """scikit-learn's two photographs, 427 x 640."""
    return [Image.fromarray(pixels) for pixels in load_sample_images().images]


def patches(photographs, n, height, width, **fields):
    """A data set of n patches of the photographs, of four groups; of one target the colours are inverted."""
    rng = np.random.default_rng(0)
    images = np.empty((n, 3, height, width), np.uint8)
    target, sensitive = np.arange(n) % 2, np.arange(n) // 2 % 2
    for i in range(n):
        top, left = rng.integers(0, 427 - height), rng.integers(0, 640 - width)
        patch = np.asarray(photographs[sensitive[i]])[top : top + height, left : left + width].transpose(
            2, 0, 1
        )
        images[i] = 255 - patch if target[i] else patch
    return gru.GroupedDataset(target, sensitive, ("a", "b"), ("c", "d"), images=images, **fields)


@pytest.fixture(scope="module")
def viewed(photographs):
    """96 pictures of 36 x 44 that are seen as 32 x 32."""
    return patches(photographs, 96, 44, 36, view=View(32, 36))


def plain(image, window, size):
    """The ordinary path for one image (C, H, W): crop, antialiased resize, flip, normalise."""
    top, left, height, width = (round(float(value)) for value in window)
    flip, left, width = width < 0, left + min(width, 0), abs(width)
    image = torch.as_tensor(image).float()
    x = v2.functional.resized_crop(image, top, left, height, width, [size, size], antialias=True)
    return (v2.functional.horizontal_flip(x) if flip else x) / 127.5 - 1


# Crops


@pytest.mark.parametrize("height, width", [(218, 178), (64, 150), (40, 40)])
def test_boxes_have_the_law_of_torchvision(height, width):
    """No Kolmogorov-Smirnov test tells our draws of any quantity from those of RandomResizedCrop."""
    ours = random_crops(np.tile([height, width], (4000, 1)), stream(0, "law"))
    image = torch.empty(3, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        draw = torchvision.transforms.RandomResizedCrop.get_params
        theirs = np.array([draw(image, SCALE, RATIO) for _ in range(2000)])
    for quantity in (
        lambda t, l, h, w: h * w,
        lambda t, l, h, w: np.log(w / h),
        lambda t, l, h, w: t / (height - h + 1),
        lambda t, l, h, w: l / (width - w + 1),
        lambda t, l, h, w: t,
        lambda t, l, h, w: w,
    ):
        assert ks_2samp(quantity(*ours.T), quantity(*theirs.T)).pvalue > 1e-3


@pytest.mark.parametrize("height, width", [(10, 1000), (1000, 10), (7, 300)])
def test_where_no_box_fits(height, width):
    """So long a picture has no room for 8% of its area at an allowed ratio: one central box is left."""
    draw = torchvision.transforms.RandomResizedCrop.get_params
    expected = list(draw(torch.empty(3, height, width), SCALE, RATIO))
    assert random_crops(np.array([[height, width]] * 3), stream(0, "x")).tolist() == [expected] * 3


@given(st.integers(8, 300), st.integers(8, 300), st.integers(0, 2**32))
def test_boxes_lie_in_the_picture(height, width, seed):
    top, left, high, wide = random_crops(np.tile([height, width], (20, 1)), stream(seed, "boxes")).T
    assert (high >= 1).all() and (wide >= 1).all() and (top >= 0).all() and (left >= 0).all()
    assert (top + high <= height).all() and (left + wide <= width).all()


def test_crops_equal_those_of_torchvision(viewed):
    data = device_data(viewed, "cpu")
    draws = np.arange(96)
    windows = data.windows(draws, stream(3, "crop"))
    assert 30 < (windows[:, 3] < 0).sum() < 66  # are flipped
    assert np.array_equal(data.windows(draws, stream(3, "crop")), windows)
    x, y = data.take(torch.from_numpy(draws), torch.from_numpy(windows))
    assert x.shape == (96, 3, 32, 32) and x.dtype == torch.float32 and y.tolist() == viewed.target.tolist()
    assert x.is_contiguous(memory_format=torch.channels_last)
    expected = torch.stack([plain(*pair, 32) for pair in zip(viewed.images, windows)])
    torch.testing.assert_close(x, expected, atol=2e-5, rtol=0)


def test_a_large_image_is_antialiased(photographs):
    """Four pixels to one: every pixel counts. Picking some would be off by tens of levels."""
    image = torch.from_numpy(np.asarray(photographs[0]).transpose(2, 0, 1).copy())[None]
    window = torch.tensor([[11.0, 20.0, 400.0, 600.0]])
    x = resample(image, window, 100, cropped=True)
    torch.testing.assert_close(x[0] / 127.5 - 1, plain(image[0], window[0], 100), atol=1e-4, rtol=0)


@pytest.mark.parametrize("view", [View(32, 36), View(20, 44), View(24, 24), View(28, None)])
def test_the_evaluation_view(view, photographs):
    """Resize and CenterCrop, or Resize to a square, on the arrays as they are."""
    for height, width in ((44, 36), (36, 51), (40, 40)):
        dataset = patches(photographs, 4, height, width, view=view)
        x, _ = device_data(dataset, "cpu").take(torch.arange(4))
        images = torch.from_numpy(dataset.images).float()
        short = [view.resize] if view.resize else [view.size] * 2
        resized = v2.functional.resize(images, short, antialias=True)
        expected = v2.functional.center_crop(resized, [view.size] * 2)
        torch.testing.assert_close(x, expected / 127.5 - 1, atol=1e-4, rtol=0)


def test_a_squashed_picture_keeps_its_aspect(photographs):
    """A box is as wide in the picture as it is high: in the square array of 427 x 640 it is narrower."""
    aspect = np.array([640 / 427, 1, 0.5], np.float32)
    windows = evaluation_windows((256, 256), aspect, View(224, 256))
    # 256 * 640 / 427 = 383.7, so 383 columns, of which (383 - 224) / 2 = 79.5, to even 80, are left out
    np.testing.assert_allclose(windows[0], [16, 80 * 256 / 383, 224, 224 * 256 / 383], rtol=1e-6)
    np.testing.assert_allclose(windows[1:], [[16, 16, 224, 224], [144 / 2, 16, 112, 224]], rtol=1e-6)
    squashed = np.stack([np.asarray(p.resize((256, 256), Image.BILINEAR)) for p in photographs])
    seen = {"images": squashed.transpose(0, 3, 1, 2), "view": View(224, 256), "aspect": aspect[[0, 0]]}
    dataset = gru.GroupedDataset([0, 0], [0, 0], ("a",), ("b",), **seen)
    x, _ = device_data(dataset, "cpu").take(torch.arange(2))
    whole = torch.stack([v2.functional.pil_to_tensor(p) for p in photographs]).float()
    direct = v2.functional.center_crop(v2.functional.resize(whole, [256], antialias=True), [224, 224])
    # levels of 255; the picture without its aspect: tens
    assert (x - (direct / 127.5 - 1)).abs().mean() * 127.5 < 4
    data = device_data(replace(dataset, aspect=np.array([2, 0.5], np.float32)), "cpu")
    boxes = data.windows(np.repeat([0, 1], 500), stream(0, "boxes"))
    ratio = np.log(np.abs(boxes[:, 3]) / boxes[:, 2]).reshape(2, 500).mean(1)
    np.testing.assert_allclose(ratio, [-np.log(2), np.log(2)], atol=0.06)  # square on average in the picture


# Streaming


def test_streaming_is_the_resident_set_bit_for_bit(viewed, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", viewed.images)
    mapped = replace(viewed, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    draws = stream(0, "draws").integers(0, 96, 70)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of arrays that cannot be written
        resident, streamed = device_data(viewed, "cpu", resident=True), device_data(mapped, "cpu")
    assert np.shares_memory(streamed.host, mapped.images)
    windows = resident.windows(draws, stream(0, "crop"))
    expected = list(resident.stream(draws, 16, windows))
    for block in (1, 40_000, 10**9):  # a batch, a few, all at once
        monkeypatch.setattr("gru_lite.train.device.BLOCK", block)
        for chosen in (windows, None):
            pairs = zip(resident.stream(draws, 16, chosen), streamed.stream(draws, 16, chosen), strict=True)
            assert [len(a) for a, b in pairs if torch.equal(a, b)] == [16, 16, 16, 16, 6]
    first = next(streamed.stream(draws, 16, windows))  # a pass that is left early
    assert torch.equal(first, expected[0])
    a, b = (data.take(torch.tensor([5, 5, 90]))[0] for data in (resident, streamed))
    assert torch.equal(a, b)


def test_critics_as_released_are_tuned_on_crops(viewed, monkeypatch):
    """Also where `augment` is off: the pictures of their first batch are crops, those of R are not."""
    seen = {"critic": [], "order": []}
    draw = Training.draw

    def noted(self, epoch, sampler, *arguments, **options):
        for batch in draw(self, epoch, sampler, *arguments, **options):
            if sampler.name in seen:
                seen[sampler.name].append(batch)
            yield batch

    monkeypatch.setattr(Training, "draw", noted)
    split = gru.forget_split(viewed, [(1, 0)], "0.5", 0)
    model, config = gru.build_model("small_resnet", 2, seed=0), gru.METHODS["miu"][1].released
    for augment, name, crops in ((False, "critic", True), (False, "order", False), (True, "order", True)):
        short = {"epochs": 1, "first_steps": 2, "batch_size": 16, "shift": 0, "precision": "float32"}
        gru.unlearn("miu", model, viewed, split, config(augment=augment, **short))
        batch = seen[name][-1]
        as_they_are, _ = device_data(viewed, "cpu").take(batch.index)
        assert torch.equal(batch.x, as_they_are) != crops, (augment, name)


def test_a_set_is_uploaded_once(viewed):
    data = replace(viewed)
    first, second = (device_data(data, "cpu", resident=True) for _ in range(2))
    assert first.inputs is second.inputs and device_data(data, "cpu", resident=False).inputs is None
    assert device_data(replace(viewed), "cpu", resident=True).inputs is not first.inputs
    kept = weakref.ref(first.inputs)
    del data, first, second
    gc.collect()
    assert kept() is None


@pytest.fixture(scope="session")
def shared_sees_a_gpu():
    return torch.cuda.is_available()


def test_what_tests_share_is_made_without_a_gpu(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not request.getfixturevalue("shared_sees_a_gpu")


# Training


@pytest.fixture(scope="module")
def resnet():
    return gru.build_model("resnet18", 2, weights="none")


def test_logits_are_those_of_the_plain_path(viewed, resnet):
    """The batches of an epoch, with the same boxes, image by image through torchvision; float32."""
    config = gru.TrainConfig(batch_size=32)
    sampler = Sampler(viewed, batch_size=32)
    ordinary = copy.deepcopy(resnet).to(memory_format=torch.contiguous_format).train()
    with Training(resnet, viewed, config, seed=4) as training:
        windows = training.data.windows(sampler.draw(1, 4), stream(4, "crop", 1)).reshape(3, 32, 4)
        for batch, boxes in zip(training.batches(1, sampler), windows, strict=True):
            x = torch.stack([plain(viewed.images[i], box, 32) for i, box in zip(batch.index, boxes)])
            with torch.no_grad():
                torch.testing.assert_close(training.logits(batch), ordinary(x), atol=1e-4, rtol=0)
    # the short side is 36 already, so that the evaluation view is the central 32 x 32 of the array
    logits = gru.predict(resnet, viewed)
    with torch.no_grad():
        window = torch.from_numpy(viewed.images[:, :, 6:38, 2:34]).float() / 127.5 - 1
        np.testing.assert_allclose(logits, copy.deepcopy(resnet).eval()(window), atol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_interrupted_training_with_crops_ends_the_same(optimizer, viewed, model, tmp_path, monkeypatch):
    config = gru.TrainConfig(epochs=3, warmup_epochs=1, batch_size=32, optimizer=optimizer, lr=1e-3)
    whole = gru.fit(model, viewed, config=config)
    file, write = tmp_path / "checkpoint.safetensors", fitting.write_checkpoint

    def write_and_stop(*arguments):
        write(*arguments)
        if arguments[3] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting, "write_checkpoint", write_and_stop)
        gru.fit(model, viewed, config=config, checkpoint=file)
    assert same(gru.fit(model, viewed, config=config, checkpoint=file), whole)
    for change in ({"view": View(32, 40)}, {"aspect": np.full(96, 1, np.float32)}):
        with pytest.raises(gru.InputError, match="checkpoint of another training"):
            gru.fit(model, replace(viewed, **change), config=config, checkpoint=file)


def test_what_a_config_changes(viewed, model):
    config = gru.TrainConfig(epochs=1, warmup_epochs=0, batch_size=32, lr=1e-3)
    changes = ({}, {"augment": False}, {"optimizer": "adamw"}, {"shift": 0})
    configs = (replace(config, **change) for change in changes)
    first, still, adam, shifted = (gru.fit(model, viewed, config=each) for each in configs)
    assert not same(first, still) and not same(first, adam) and same(first, shifted)


def test_adamw_by_hand(viewed, model):
    """The first step of AdamW is lr * sign(gradient), whatever its length, and the decay of the weight."""
    once = {"epochs": 1, "warmup_epochs": 0, "batch_size": 96, "augment": False}
    config = gru.TrainConfig(**once, lr=1e-3, weight_decay=0.1, optimizer="adamw")
    fitted, start = gru.fit(model, viewed, config=config), copy.deepcopy(model).train()
    x, y = device_data(viewed, "cpu").take(torch.from_numpy(Sampler(viewed, batch_size=96).draw(0, 0)))
    F.cross_entropy(start(x), y).backward()
    for got, before in zip(fitted.parameters(), start.parameters()):
        clear = before.grad.abs() > 1e-5
        expected = before * (1 - 1e-4) - 1e-3 * before.grad.sign()
        torch.testing.assert_close(got[clear], expected[clear], atol=2e-6, rtol=0)


def test_dropout_draws_from_the_seed(bench):
    """And from nothing else; the global state is left as it was."""
    backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 8), torch.nn.Dropout(0.5))
    model = gru.Classifier(backbone, torch.nn.Linear(8, 2))
    config = gru.TrainConfig(epochs=2, warmup_epochs=1, lr=1e-3)
    fitted = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(fitted))
        before = torch.get_rng_state()
        fitted.append(gru.fit(model, bench.train, config=config, seed=seed))
        assert torch.equal(torch.get_rng_state(), before)
    assert same(*fitted[:2]) and not same(*fitted[1:])
    kept = gru.Classifier(backbone[:2], model.head)  # the same weights and draws, without dropout
    assert not torch.equal(gru.fit(kept, bench.train, config=config).head.weight, fitted[0].head.weight)


def test_precision_that_the_hardware_has_not(viewed, model, monkeypatch):
    with pytest.raises(gru.InputError, match="float16 is for GPUs: use float32 or bfloat16"):
        gru.fit(model, viewed, config=gru.TrainConfig(precision="float16"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(gru.InputError, match="bfloat16 is not supported by this GPU: use float16"):
        check_precision("bfloat16", torch.device("cuda"))


def test_compiling(viewed, model, monkeypatch):
    """It computes the same, the names of the weights stay, and a compiler that fails is one line."""
    config = gru.TrainConfig(epochs=1, warmup_epochs=0, batch_size=32, compile=True)
    calls = []
    monkeypatch.setattr(torch, "compile", lambda function: lambda x: calls.append(len(x)) or function(x))
    plain = gru.fit(model, viewed, config=replace(config, compile=False))
    assert same(gru.fit(model, viewed, config=config), plain) and calls == [32] * 3
    failure = type("BackendCompilerFailed", (RuntimeError,), {"__module__": "torch._dynamo.exc"})

    def fail(x):
        raise failure("no C++ compiler\nmany lines")

    monkeypatch.setattr(torch, "compile", lambda function: fail)
    said = r"cannot be compiled here \(no C\+\+ compiler\): leave out compile"
    with pytest.raises(gru.InputError, match=said):
        gru.fit(model, viewed, config=config)


@pytest.mark.gpu
def test_float16_on_a_gpu(viewed, model):
    config = gru.TrainConfig(epochs=2, warmup_epochs=0, batch_size=32, lr=1e-3, precision="float16")
    half, full = (gru.fit(model, viewed, config=replace(config, precision=p)) for p in ("float16", "float32"))
    assert not same(half, full) and np.abs(gru.predict(half, viewed) - gru.predict(full, viewed)).max() < 0.1


# Methods


def test_outputs_of_the_original(viewed, model):
    """Computed once where the images stay as they are, else on each augmented batch: the same numbers."""
    sampler = Sampler(viewed, batch_size=32)
    seen = {"features": gru.Classifier.features, "logits": gru.Classifier.forward}
    for what, function in seen.items():
        with Training(model, viewed, gru.TrainConfig(batch_size=32, augment=False)) as training:
            cached = Original(training, what)
            batch = next(training.batches(0, sampler))
            assert cached.cached.shape[0] == 96 and cached.model is None
            with torch.no_grad():
                expected = function(copy.deepcopy(model).eval(), batch.x)
            torch.testing.assert_close(cached(batch), expected, atol=1e-5, rtol=0)
        with Training(model, viewed, gru.TrainConfig(batch_size=32)) as training:
            fresh = Original(training, what)
            batch = next(training.batches(0, sampler))
            training.step(F.cross_entropy(training.logits(batch), batch.y))  # the original stays what it was
            with torch.no_grad():
                expected = function(copy.deepcopy(model).eval(), batch.x)
            assert fresh.cached is None and training.model.training
            torch.testing.assert_close(fresh(batch), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize("method", gru.METHODS)
def test_methods_with_a_view(method, augment, viewed, model):
    split = gru.forget_split(viewed, groups=[(1, 0)], ratio=0.5, seed=0)
    sizes = {"first_steps": 2, "later_steps": 1} if method == "miu" else {}
    config = gru.METHODS[method][1](epochs=2, batch_size=42, lr=1e-3, augment=augment, **sizes)
    first, second = (gru.unlearn(method, model, viewed, split, config) for _ in range(2))
    assert same(first, second) and not same(first, model) and not first.training


def test_eu_k_on_resnet18(viewed, resnet):
    """One block is reset and trained: all before it is the original's, statistics included."""
    split = gru.forget_split(viewed, groups=[(1, 0)], ratio=0.5, seed=0)
    config = gru.METHODS["eu_k"][1](epochs=1, batch_size=42, lr=1e-4)
    model = gru.unlearn("eu_k", resnet, viewed, split, config)
    last = {name for name in resnet.state_dict() if name.startswith(("backbone.layer4", "head"))}
    assert changed_names(model, resnet) == last


def test_salun_on_resnet18(viewed, resnet):
    split = gru.forget_split(viewed, groups=[(1, 0)], ratio=0.5, seed=0)
    config = gru.METHODS["salun"][1](epochs=1, batch_size=72, lr=1e-3, weight_decay=0.1)
    model = gru.unlearn("salun", resnet, viewed, split, config)
    kept = sum((after == before).sum() for after, before in zip(model.parameters(), resnet.parameters()))
    n = sum(p.numel() for p in resnet.parameters())
    assert n * 0.5 <= kept < n * 0.6  # half of the weights may move; some of them hardly do
    assert all(torch.equal(after, before) for after, before in zip(model.buffers(), resnet.buffers()))


# Models


def test_resnet18(resnet):
    # 11,689,512 as published, less its head of 512 * 1000 + 1000
    assert sum(p.numel() for p in resnet.backbone.parameters()) == 11_176_512
    for side in (32, 50):
        x = torch.randn(2, 3, side, side)
        z = resnet.eval().features(x)
        assert z.shape == (2, 512) and torch.equal(resnet.head(z), resnet(x))
    assert same(resnet, gru.build_model("resnet18", 2, seed=0, weights="none"))
    assert not same(resnet, gru.build_model("resnet18", 2, seed=1, weights="none"))


def test_published_weights_come_from_the_cache(resnet, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    net = torchvision.models.resnet18()
    file = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"  # the last part of torchvision's address
    file.parent.mkdir()
    torch.save(net.state_dict(), file)
    model = gru.build_model("resnet18", 3)
    published = net.state_dict()
    assert all(torch.equal(tensor, published[name]) for name, tensor in model.backbone.state_dict().items())
    assert model.head.weight.shape == (3, 512) and not torch.equal(model.head.weight, net.fc.weight[:3])
    gru.save(model, tmp_path / "model.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    assert same(gru.load_model(tmp_path / "model.safetensors"), model)  # without the published file
    said = "resnet18-f37072fd.pth is not the file of https.*: delete it, or use --weights none"
    with pytest.raises(gru.InputError, match=said):
        gru.build_model("resnet18", 3)
    file.unlink()

    def no_network(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    folder = re.escape(str(file.parent))
    said = f"^resnet18-f37072fd.pth cannot be downloaded.* into {folder}, or use --weights none"
    with pytest.raises(gru.InputError, match=said):
        gru.build_model("resnet18", 3)


def test_a_file_that_would_run_code(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"fc.weight": Harmful()}, tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    with pytest.raises(gru.InputError, match="delete it"):
        gru.build_model("resnet18", 2)
    assert not (tmp_path / "harm").exists()


def test_vit_as_published():
    with torch.device("meta"):
        model = gru.build_model("vit_b_16", 2, weights="none", image_size=224)
        # 86,567,656 as published, less its head of 768 * 1000 + 1000
        assert sum(p.numel() for p in model.backbone.parameters()) == 85_798_656
        assert model.features(torch.empty(2, 3, 224, 224)).shape == (2, 768)
    last = layers_of(model.backbone)[reset_last(model, 1, seed=0)]
    assert last is model.backbone.encoder.layers.encoder_layer_11.ln_1


def test_vit(viewed, monkeypatch):
    """Two layers of it, for images of one size."""
    transformer = torchvision.models.vision_transformer
    sizes = {"patch_size": 16, "num_layers": 2, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 64}
    monkeypatch.setattr(transformer, "vit_b_16", functools.partial(transformer.VisionTransformer, **sizes))
    model = gru.build_model("vit_b_16", 2, weights="none", image_size=32).eval()
    model.backbone.blocks = model.backbone.blocks[:2]
    torch.nn.init.normal_(model.backbone.encoder.pos_embedding)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        z = model.features(x)
        assert z.shape == (2, 768) and torch.equal(model.head(z), model(x))
    before = copy.deepcopy(model)
    reset_last(model, 1, seed=0)
    changed = changed_names(model, before)
    assert {name.split(".")[3] for name in changed if name.startswith("backbone")} == {"encoder_layer_1"}
    assert "head.weight" in changed
    said = "takes images of 32x32 pixels, but these have 28x28: build it with image_size=28"
    with pytest.raises(gru.InputError, match=said):
        gru.predict(model, replace(viewed, view=View(28, 36)))


def test_bert_as_published():
    """Its size, and what EU-k would reset, on a device that holds no numbers."""
    pytest.importorskip("transformers")
    with torch.device("meta"):
        model = gru.build_model("bert", 3, weights="none", vocabulary=50)
    assert model.architecture == {"name": "bert", "n_classes": 3, "weights": "none", "vocabulary": 50}
    # 109,482,240 as published, less 30,472 of its 30,522 tokens
    assert sum(p.numel() for p in model.backbone.parameters()) == 109_482_240 - 30_472 * 768
    last = layers_of(model.backbone)[reset_last(model, 1, seed=0)]
    assert last is model.backbone.bert.encoder.layer[11].attention.self.query
    cases = [("bert", 3, 0, 50, "the published bert has 30522 tokens, not 50")]
    build = lambda name, n, seed, vocabulary: gru.build_model(name, n, seed, vocabulary=vocabulary)
    assert not accepted(build, cases)


def test_small_models_of_text(tmp_path):
    """The linear head has no backbone to change; the small BERT is two layers, and can be saved."""
    linear = gru.build_model("linear", 3, n_features=7)
    assert sum(p.numel() for p in linear.parameters()) == 3 * 7 + 3
    x = torch.arange(14.0).reshape(2, 7)
    assert torch.equal(linear.features(x), x) and linear(x).shape == (2, 3)
    pytest.importorskip("transformers")
    bert = gru.build_model("small_bert", 3, seed=1, vocabulary=50).eval()
    assert bert.backbone.blocks == ("bert.encoder.layer.0", "bert.encoder.layer.1")
    tokens = torch.zeros(2, 3, 6, dtype=torch.int32)
    tokens[:, 0], tokens[:, 2, :4] = torch.arange(6), 1
    other = tokens.clone()
    other[:, 0, 4:] = 9  # masked
    torch.testing.assert_close(bert(tokens), bert(other))
    gru.save(bert, tmp_path / "bert.safetensors")
    torch.testing.assert_close(gru.load_model(tmp_path / "bert.safetensors")(tokens), bert(tokens))


def test_bert(monkeypatch):
    """A batch of tokens; what the mask leaves out does not count. Two layers of it."""
    transformers = pytest.importorskip("transformers")
    small = functools.partial(transformers.BertConfig, num_hidden_layers=2, intermediate_size=64)
    monkeypatch.setattr(transformers, "BertConfig", small)
    model = gru.build_model("bert", 3, weights="none", vocabulary=50).eval()
    model.backbone.blocks = ("bert.encoder.layer.0", "bert.encoder.layer.1")
    tokens = np.zeros((4, 3, 6), np.int32)
    tokens[:, 0] = stream(0, "tokens").integers(0, 50, (4, 6))
    tokens[:, 2, :4] = 1
    dataset = gru.GroupedDataset([0, 1, 2, 0], [0, 1, 0, 1], "abc", "de", tokens=tokens)
    other = tokens.copy()
    other[:, 0, 4:] = 7
    logits = gru.predict(model, dataset)
    assert logits.shape == (4, 3)
    np.testing.assert_allclose(gru.predict(model, replace(dataset, tokens=other)), logits, atol=1e-5)
    config = gru.TrainConfig(epochs=1, warmup_epochs=0, batch_size=4, optimizer="adamw", lr=1e-4)
    before = copy.deepcopy(model)
    fitted = gru.fit(model, dataset, config=config)
    assert not torch.equal(fitted.head.weight, model.head.weight) and same(model, before)
    reset_last(model, 1, seed=0)
    changed = changed_names(model, before)
    assert {name.split(".")[4] for name in changed if ".layer." in name} == {"1"}
    assert "backbone.bert.pooler.dense.weight" in changed


# Several processes

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def two_samplers(start, train, split, config):
    """One loss of two batches of different samplers: down on R and up on F in each step."""
    retain = Sampler(train, split.retain, config.batch_size)
    forget = Sampler(train, split.forget, 7, steps=retain.steps, name="forget")
    with Training(start, train, config) as training:
        for epoch in range(config.epochs):
            for near, far in training.batches(epoch, retain, forget):
                losses = [F.cross_entropy(training.logits(batch), batch.y) for batch in (near, far)]
                training.step(losses[0] - 0.1 * losses[1])
            training.end_epoch(epoch)
    return training.finish()


def train_everything(bench, start, file):
    """Ten steps of fit, of methods that see a whole batch at once, and of a loop of one's own.

    The main process writes what comes out.
    """
    train = replace(bench.train, view=View(28, 32))
    split = gru.forget_split(train, [(1, 0)], 0.5)
    # Five steps an epoch; parts of 18 and 19. With a higher lr rounding grows to 1e-2 in one process, too.
    common = {"epochs": 2, "warmup_epochs": 0, "batch_size": 37, "lr": 0.002}
    config, forget = gru.TrainConfig(**common), {"forget_batch_size": 15}
    retain = {"indices": split.retain, "weights": gru.reweight(split), "checkpoint": f"{file}.checkpoint"}
    models = {
        "fit": gru.fit(start, train, config=config, **retain),
        "two samplers": two_samplers(start, train, split, config),
    }
    for method, values in (
        ("scrub", forget),
        ("miu", forget | {"first_steps": 10}),
        ("salun", forget | {"statistics": "moving"}),
        ("l1_sparse", {"augment": False}),
    ):
        models[method] = gru.unlearn(method, start, train, split, gru.METHODS[method][1](**common | values))
    for model in models.values():
        assert not any(isinstance(module, parallel.SyncedBatchNorm) for module in model.modules())
    if parallel.is_main():
        arrays = {name: gru.predict(model, bench.test) for name, model in models.items()}
        for name, model in models.items():
            kept = ((key, value) for key, value in model.state_dict().items() if key.endswith(STATISTICS))
            arrays |= {f"{name} {key}": value.numpy() for key, value in kept}
        np.savez(file, **arrays)


def process(rank, size, port, *arguments):
    os.environ |= {"WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    train_everything(*arguments)
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_result_of_one(bench, trained, tmp_path):
    """Logits and the statistics of every BatchNorm to 1e-3. Only one process writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    train_everything(bench, trained, tmp_path / "one.npz")
    start = "fork" if sys.platform == "linux" else "spawn"  # a fork has imported everything
    arguments = (2, port, bench, trained, tmp_path / "two.npz")
    torch.multiprocessing.start_processes(process, arguments, nprocs=2, start_method=start)
    one, two = (np.load(tmp_path / f"{name}.npz") for name in ("one", "two"))
    assert set(one.files) == set(two.files) and len(one.files) == 6 * (1 + 9 * 3)
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], atol=1e-3, rtol=1e-4, err_msg=name)
        if not name.endswith(STATISTICS):
            assert np.abs(one[name] - gru.predict(trained, bench.test)).max() > 0.05


def test_the_synchronised_statistics_by_hand():
    """In a group of one process: BatchNorm as torch computes it, gradients and running statistics, too."""
    torch.manual_seed(0)
    ordinary = torch.nn.BatchNorm2d(3)
    torch.nn.init.normal_(ordinary.weight)
    synced = copy.deepcopy(ordinary)
    synced.__class__ = parallel.SyncedBatchNorm
    x = torch.randn(5, 3, 4, 2) * 3 + 7
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        pairs = []
        for norm in (ordinary, synced):
            leaf = x.clone().requires_grad_()
            (norm(leaf) ** 3).sum().backward()
            moved = [getattr(norm, name) for name in STATISTICS]
            pairs.append([leaf.grad, norm.weight.grad, norm.bias.grad, *moved, norm.eval()(x)])
        for a, b in zip(*pairs):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    finally:
        torch.distributed.destroy_process_group()
