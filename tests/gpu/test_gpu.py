"""The package on a GPU: every method on every kind of data gives the CPU's numbers, and no step waits for the device.

Tests that take the fixture `gpu` run on an imitated GPU (see imitated.py) and, where there is one, on a real one.
"""

import contextlib
import functools
import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from imitated import GPU, SECOND, Machine, Stream, imitated_gpu, no_gpu, put, real_gpu

import gru_lite as gru
from gru_lite.data import View
from gru_lite.experiment import plan as plan_module
from gru_lite.methods.finetune import retain_sampler
from gru_lite.methods.miu import gradient_length
from gru_lite.models import BasicBlock, _Bert
from gru_lite.scores import scores as scores_module
from gru_lite.train import Sampler, Training, fitting, prediction
from gru_lite.train import device as device_module

N, SIDE = 64, 16
KINDS = ("images", "images streamed", "views", "views streamed", "features", "tokens")
TINY = {"epochs": 2, "batch_size": 16, "forget_batch_size": 4, "warmup_epochs": 0, "forget_epochs": 1,
        "first_steps": 3, "later_steps": 2}  # fmt: skip
RELEASED = [f"{name} released" for name, (_, config) in gru.METHODS.items() if hasattr(config, "released")]
ROWS = ("fit", *gru.METHODS, *RELEASED, "two samplers")
REAL = pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no GPU")


@pytest.fixture(params=["imitated", pytest.param("real", marks=[pytest.mark.gpu, REAL])])
def gpu(request):
    """A context: inside, there is a GPU. gpu(free=1) has no room for data."""
    return imitated_gpu if request.param == "imitated" else real_gpu


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Data goes to the device in several blocks, of about one batch."""
    monkeypatch.setattr(device_module, "BLOCK", 2**14)


def room(kind):
    return 1 if kind.endswith("streamed") else 79


@functools.cache
def made(kind):
    """A data set of a kind: 64 samples in four groups."""
    rng, n = np.random.default_rng(0), np.arange(N)
    kind = kind.split()[0]
    if kind == "images":
        inputs = {"images": rng.integers(0, 255, (N, 3, SIDE, SIDE), dtype=np.uint8)}
    elif kind == "views":
        inputs = {"images": rng.integers(0, 255, (N, 3, 22, 18), dtype=np.uint8), "view": View(SIDE, 18)}
        inputs["aspect"] = np.linspace(0.7, 1.5, N, dtype=np.float32)
    elif kind == "tokens":
        mask = np.arange(6) < rng.integers(3, 7, (N, 1))
        ids, types = rng.integers(1, 50, (N, 6)), rng.integers(0, 2, (N, 6))
        inputs = {"tokens": np.stack([ids * mask, types * mask, mask], 1).astype(np.int32)}
    else:
        inputs = {"features": rng.normal(size=(N, 8)).astype(np.float32)}
    return gru.GroupedDataset(n % 2, n // 2 % 2, "ab", "cd", **inputs)


@functools.cache
def network(kind):
    """A Classifier for a kind of data, as small as it gets; untrained."""
    if kind == "features":
        return gru.build_model("mlp", 2, n_features=8)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        if kind == "tokens":
            return tiny_bert()
        stem = [torch.nn.Conv2d(3, 4, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(4), torch.nn.ReLU()]
        layers = [*stem, BasicBlock(4, 8, 2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
        model = gru.Classifier(torch.nn.Sequential(*layers), torch.nn.Linear(8, 2))
        return model.to(memory_format=torch.channels_last)


def tiny_bert():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    certain = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=8, **sizes, **certain)
    backbone = _Bert(transformers.BertModel(config))
    backbone.blocks = ("bert.encoder.layer.0",)
    return gru.Classifier(backbone, torch.nn.Linear(32, 2))


def two_samplers(original, data, split, config):
    """A method that nobody wrote yet: up on F and down on R in one step."""
    retain = retain_sampler(data, split, config, None, None)
    forget = Sampler(data, split.forget, config.forget_batch_size, steps=retain.steps, name="forget")
    with Training(original, data, config) as training:
        for epoch in range(config.epochs):
            for kept, gone in training.batches(epoch, retain, forget):
                near, far = (F.cross_entropy(training.logits(batch), batch.y) for batch in (kept, gone))
                training.step(near - 0.1 * far)
            training.end_epoch(epoch)
    return training.finish()


def trained(row, kind, **options):
    """The logits after a training or a method of two short epochs."""
    data, model = made(kind), network(kind.split()[0])
    name, _, as_released = row.partition(" ")
    config_class = gru.METHODS[name][1] if name in gru.METHODS else gru.METHODS["scrub"][1]
    if row == "fit":
        config_class = gru.TrainConfig
    options = TINY | ({"optimizer": "adamw", "lr": 1e-3} if kind == "tokens" else {"lr": 0.01}) | options
    options = {key: value for key, value in options.items() if key in config_class.__dataclass_fields__}
    config = config_class.released(**options) if as_released == "released" else config_class(**options)
    if row == "fit":
        return gru.predict(gru.fit(model, data, config=config, keep_best=data), data)
    split = gru.forget_split(data, [(1, 0)], 0.5)
    if row == "two samplers":
        return gru.predict(two_samplers(model, data, split, config), data)
    return gru.predict(gru.unlearn(name, model, data, split, config), data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ROWS)
def test_a_gpu_gives_the_numbers_of_the_cpu(row, kind, gpu):
    with no_gpu():
        expected = trained(row, kind)
    with gpu(room(kind)):
        np.testing.assert_allclose(trained(row, kind), expected, atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ROWS)
def test_no_step_waits_for_the_device(row, kind):
    """Twice as many steps, as many waits."""
    assert waits(row, kind, 16) == waits(row, kind, 8)


def waits(row, kind, batch_size, **options):
    """How often a training waits, by cause; smaller batches mean more steps, of the critics too."""
    options |= {"batch_size": batch_size, "forget_batch_size": batch_size // 4}
    options |= {"first_steps": 48 // batch_size, "later_steps": 32 // batch_size}
    with imitated_gpu(room(kind)) as machine:
        trained(row, kind, **options)
    return machine.waits
