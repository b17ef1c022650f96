"""The package on a GPU: every method gives the CPU's numbers on every kind of data, and no step waits.

A test with the fixture `gpu` runs on an imitated GPU (see imitated.py), and on a real one where there is one.
"""

import contextlib
import copy
import functools
import gc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from imitated import CPU, GPU, SECOND, Stream, imitated_gpu, no_gpu, real_gpu

import gru_lite as gru
from gru_lite.data import View
from gru_lite.experiment import plan as plan_module
from gru_lite.methods.finetune import retain_sampler
from gru_lite.methods.miu import gradient_length
from gru_lite.models import BasicBlock, _Bert
from gru_lite.seeding import stream
from gru_lite.train import Sampler, Training, device_data, fitting, prediction
from gru_lite.train import device as device_module

N, SIDE = 64, 16
KINDS = ("images", "images streamed", "views", "views streamed", "features", "tokens")
TINY = {"epochs": 2, "batch_size": 16, "forget_batch_size": 4, "warmup_epochs": 0, "forget_epochs": 1,
        "first_steps": 3, "later_steps": 2}  # fmt: skip
RELEASED = [f"{name} released" for name, (_, config) in gru.METHODS.items() if hasattr(config, "released")]
ROWS = ("fit", *gru.METHODS, *RELEASED, "two samplers")
WAITS = [(row, kind) for row in ROWS for kind in KINDS[2:]]
WAITS += [("fit", kind) for kind in ("images", "images streamed", "tokens in float16")]
WAITS += [(row, "features in float16") for row in ("fit", "miu", "salun", "scrub")]


@pytest.fixture(params=["imitated", pytest.param("real", marks=pytest.mark.gpu)])
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
        stem = [torch.nn.Conv2d(3, 8, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(8), torch.nn.ReLU()]
        layers = [*stem, BasicBlock(8, 8, 2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
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
    # SCRUB begins where its loss has no gradient: AdamW would make a whole step of the rounding there.
    adaptive = kind == "tokens" and name != "scrub"
    options = TINY | ({"optimizer": "adamw", "lr": 1e-3} if adaptive else {"lr": 0.01}) | options
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
    """No tensors of two devices meet, and the fused optimiser changes the last digits alone."""
    with no_gpu():
        expected = trained(row, kind)
    with gpu(room(kind)):
        atol = 1e-4 if gpu is imitated_gpu else 2e-3
        np.testing.assert_allclose(trained(row, kind), expected, rtol=0, atol=atol)


def waits(row, kind, batch_size):
    """How often a training waits, by cause. With half the batch size, all its passes have twice the steps."""
    steps = {"first_steps": 96 // batch_size, "later_steps": 64 // batch_size}
    kind, _, precision = kind.partition(" in ")
    made(kind), network(kind.split()[0])  # on the host
    with imitated_gpu(room(kind)) as machine:
        options = {"forget_batch_size": batch_size // 4, "precision": precision or "float32"}
        trained(row, kind, batch_size=batch_size, **steps, **options)
    return machine.waits


@pytest.mark.parametrize("row, kind", WAITS)
def test_no_step_waits_for_the_device(row, kind):
    """Twice as many steps, as many waits."""
    assert waits(row, kind, 32) == waits(row, kind, 16)


def test_streaming_waits_for_its_copies(monkeypatch):
    """Who does not wait for a copy on the side stream computes with what lay there before."""
    with no_gpu():
        expected = trained("fit", "views")
    with imitated_gpu(free=1) as machine:
        np.testing.assert_allclose(trained("fit", "views"), expected, rtol=0, atol=1e-4)
        assert not any(device_module.UPLOADED.values())
        assert machine.notes["record_stream"] == machine.notes["copies on a side stream"] > 10
        assert machine.notes["stream on cuda:0"] == 1  # trainings and predictions share it
        monkeypatch.setattr(Stream, "wait_event", lambda self, event: None)
        assert np.abs(trained("fit", "views") - expected).max() > 0.01


def dropped_out(device):
    """The logits after a training with dropout on a device, from features that are streamed to a GPU."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        backbone = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.5))
        model = gru.Classifier(backbone, torch.nn.Linear(16, 2))
    config = gru.TrainConfig(epochs=2, batch_size=16, warmup_epochs=0)
    return gru.predict(gru.fit(model, made("features"), config=config, device=device), made("features"))


def test_a_training_on_the_second_gpu_draws_and_copies_there(monkeypatch):
    """Its dropout has the seed of the CPU's, and its loader's thread does not begin on the first GPU."""
    with no_gpu():
        expected = dropped_out("cpu")
    with imitated_gpu(free=1) as machine:
        before = [machine.generators[gpu].get_state() for gpu in (GPU, SECOND)]
        np.testing.assert_allclose(dropped_out("cuda:1"), expected, rtol=0, atol=1e-4)
        for gpu, state in zip((GPU, SECOND), before, strict=True):
            assert torch.equal(machine.generators[gpu].get_state(), state)  # the training put it back
        assert machine.notes["stream on cuda:1"] == 1
        assert machine.pinned_by["other"] == {SECOND, GPU}  # the training's loader, and the prediction's
        # The imitation would notice a seed that goes to the current device.
        monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
        assert np.abs(dropped_out("cuda:1") - expected).max() > 0.01


def killed_and_continued(model, data, config, file):
    """The logits of a training that is killed after its first epoch and then continued."""

    def write_and_die(*args):
        fitting_write(*args)
        raise KeyboardInterrupt

    fitting_write = fitting.write_checkpoint
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting, "write_checkpoint", write_and_die)
        gru.fit(model, data, config=config, checkpoint=file)
    return gru.predict(gru.fit(model, data, config=config, checkpoint=file), data)


@pytest.mark.parametrize("kind, precision", [("images", "float32"), ("features", "float16")])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_is_continued(optimizer, kind, precision, gpu, tmp_path):
    """Of channels_last weights, too: bit for bit on an imitated GPU; a real one adds in no fixed order."""
    common = {"epochs": 2, "batch_size": 16, "warmup_epochs": 0, "lr": 0.01}
    config = gru.TrainConfig(**common, optimizer=optimizer, precision=precision)
    data, model = made(kind), network(kind)
    with gpu():
        whole = gru.predict(gru.fit(model, data, config=config), data)
        continued = killed_and_continued(model, data, config, tmp_path / "checkpoint")
    np.testing.assert_allclose(continued, whole, rtol=0, atol=0 if gpu is imitated_gpu else 2e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_float16_survives_an_overflow_in_the_first_step(optimizer, gpu, monkeypatch):
    data = made("features")
    common = {"epochs": 1, "batch_size": 16, "warmup_epochs": 0, "lr": 0.01}
    config = gru.TrainConfig(**common, precision="float16", optimizer=optimizer)
    empty_like, left = torch.empty_like, 1e6  # what another tensor left in the memory
    monkeypatch.setattr(torch, "empty_like", lambda t, **kwargs: empty_like(t, **kwargs).fill_(left))
    with gpu(), Training(network("features"), data, config) as training:
        for i, batch in enumerate(training.batches(0, Sampler(data, batch_size=16))):
            training.step(F.cross_entropy(training.logits(batch), batch.y) * (1e38 if i == 0 else 1))
        training.losses = training.losses[1:]
        training.end_epoch(0)
        assert training.scaler.get_scale() == 2**15  # half of what it began with: one step was left out
        assert all(weight.abs().max() < 100 for weight in training.model.parameters())


def test_a_small_gradient_does_not_underflow_in_float16(gpu):
    """The head computes in float32: MIU measures and clips gradients with respect to the features."""
    data = made("features")
    with gpu(), Training(network("features"), data, gru.TrainConfig(precision="float16")) as training:
        batch = next(training.draw(0, Sampler(data, batch_size=16)))
        z, logits = training.forward(batch)
        assert z.dtype == logits.dtype == torch.float32
        assert gradient_length(1e-9 * F.cross_entropy(logits, batch.y), z) > 0
        with training.autocast():
            in_half = training.model.head(z)
        assert gradient_length(1e-9 * F.cross_entropy(in_half.float(), batch.y), z) == 0


def test_every_row_of_an_experiment_is_scored_on_the_gpu(tmp_path, monkeypatch):
    """`original`, too, whose model is read from a file. No data stays there."""
    seen, kept, outputs = Counter(), [], prediction.outputs

    def watched(model, *args, **kwargs):
        seen[next(model.parameters()).device] += 1
        kept.append(len(device_module.UPLOADED))
        return outputs(model, *args, **kwargs)

    bench = gru.waterdigits(0, train_counts=((14, 6), (6, 14)), val_count=4, test_count=4)

    def load(*args, **kwargs):  # other objects each time, as when they are read from a disk
        return replace(bench, **{part: replace(getattr(bench, part)) for part in ("train", "val", "test")})

    monkeypatch.setattr(prediction, "outputs", watched)
    monkeypatch.setattr(plan_module, "load", load)
    options = {"seeds": 1, "epochs": 1, "ratio": ("0.5",), "methods": ("finetune",), "out": tmp_path / "out"}
    with imitated_gpu():
        table = gru.run(gru.RunOptions(benchmark="waterdigits", **options), progress=False).table
        gc.collect()
        assert max(kept) > 0 and not len(device_module.UPLOADED)
    assert "original" in set(table.method) and set(table.status) == {"ok"}
    assert seen == {GPU: 3 * len(table)}


def test_images_that_do_not_fit_are_streamed():
    """Half of the memory stays free for the model."""
    data, model, config = made("images"), network("images"), gru.TrainConfig(shift=2)
    for free, resident in ((79, True), (40, False), (1, False)):
        with imitated_gpu(free), Training(model, data, config) as training:
            assert (training.data.inputs is not None) == resident
            assert bool(device_module.UPLOADED[data]) == resident
            assert device_module.fits((free - 40) << 30, GPU) or free < 40


def test_a_stream_gives_what_lies_on_the_device(gpu):
    """The device "cuda" is the current GPU, for the thread that copies, too."""
    draws = stream(0, "draws").integers(0, N, 70)
    with gpu():
        where = ("cuda", 0, True), ("cuda", 0, False), ("cpu",)
        every = [device_data(made("views"), *place) for place in where]
        windows = every[2].windows(draws, stream(0, "crop"))
        for resident, streamed, host in zip(
            *(data.stream(draws, 16, windows) for data in every), strict=True
        ):
            assert torch.equal(resident, streamed)
            torch.testing.assert_close(resident.cpu(), host, atol=1e-4, rtol=0)


def test_eu_k_draws_the_same_weights_for_a_model_on_the_gpu(gpu):
    """One step that moves nothing: what is left is what was drawn."""
    data, model = made("images"), network("images")
    split = gru.forget_split(data, [(1, 0)], 0.5)
    still = gru.METHODS["eu_k"][1](epochs=1, lr=1e-12, weight_decay=0)
    with gpu():
        rng = torch.cuda.get_rng_state()
        starts = (copy.deepcopy(model).to(where) for where in ("cpu", "cuda"))
        first, second = (gru.unlearn("eu_k", start, data, split, still) for start in starts)
        assert torch.equal(torch.cuda.get_rng_state(), rng)
        for a, b in zip(first.parameters(), second.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_a_model_stays_where_it_is(gpu, tmp_path):
    """A GPU computes for a model of the CPU, and its own models are saved and read by every machine."""
    data, start = made("features"), network("features")
    with gpu():
        logits = gru.predict(start, data)
        assert next(start.parameters()).device == CPU
        model = gru.fit(start, data, config=gru.TrainConfig(epochs=1))
        assert next(model.parameters()).device == GPU
        assert isinstance(gru.extract_features(model, data), np.ndarray)
        gru.save(model, tmp_path / "model")
        expected = gru.predict(model, data)
        assert np.abs(gru.predict(model, data, device="cpu") - expected).max() < 1e-3
        assert next(model.parameters()).device == GPU
        z = torch.tensor(data.features, device="cuda")
        information = gru.mutual_information(z, torch.tensor(data.group, device="cuda"), 4, steps=5)
    with no_gpu():
        np.testing.assert_allclose(gru.predict(start, data), logits, atol=1e-3)
        np.testing.assert_allclose(gru.predict(gru.load_model(tmp_path / "model"), data), expected, atol=1e-3)
        assert abs(gru.mutual_information(data.features, data.group, 4, steps=5) - information) < 1e-6


def refused():
    """(what, a call that fails on a GPU); to be made where a GPU is imitated."""
    x, host = torch.ones(3, 4, device="cuda"), torch.ones(3, 4)
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8, device="cuda")
    generator = torch.Generator()
    return [
        ("two devices", lambda: x + host),
        ("two GPUs", lambda: x + torch.ones(3, 4, device="cuda:1")),
        ("an array of the host", lambda: x * torch.from_numpy(np.ones(4))),
        ("a model of the host", lambda: torch.nn.Linear(4, 2)(x)),
        ("a model of the GPU", lambda: torch.nn.Linear(4, 2).to("cuda")(host)),
        ("positions on the GPU", lambda: host[torch.tensor([0], device="cuda")]),
        ("a number of the host in a list", lambda: torch.stack([x.sum(), host.sum()])),
        ("numpy", x.numpy),
        ("numpy by itself", lambda: np.asarray(x)),
        ("a generator of the host", lambda: torch.randint(3, (2,), generator=generator, device="cuda")),
        ("pinning", x.pin_memory),
        ("reflection of bytes", lambda: F.pad(pixels, (1,) * 4, mode="reflect")),
        ("products of whole numbers", lambda: x.long() @ x.long().T),
        ("layouts", lambda: _stepped(torch.zeros(4, 4, device="cuda").T)),
        ("a step counter of the host", lambda: _stepped(step=torch.tensor(1.0))),
    ]


def _stepped(momentum=None, step=None):
    """One fused step of one weight, with this state."""
    weight = torch.nn.Parameter(torch.ones(4, 4, device="cuda"))
    weight.grad = torch.ones(4, 4, device="cuda")
    if step is None:
        optimizer = torch.optim.SGD([weight], 0.1, 0.9, fused=True)
        optimizer.state[weight]["momentum_buffer"] = momentum
    else:
        optimizer = torch.optim.AdamW([weight], fused=True)
        state = {"step": step, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
        optimizer.state[weight] = state
    optimizer.step()


def test_the_imitation_refuses_what_cuda_refuses():
    with imitated_gpu():
        for what, call in refused():
            with pytest.raises((RuntimeError, TypeError)):
                call()
                pytest.fail(what)
        _stepped(torch.zeros(4, 4, device="cuda"))
        _stepped(step=torch.tensor(1.0, device="cuda"))


def test_the_imitation_knows_where_things_lie_and_what_waits():
    with imitated_gpu() as machine:
        x = torch.ones(3, device="cuda")
        assert x.device == GPU and (x * 2)[1:].device == GPU and torch.zeros_like(x).is_cuda
        assert (x + torch.tensor(1.0)).device == GPU and x.get_device() == 0
        assert torch.nn.Linear(3, 2).to("cuda").weight.device == GPU
        assert (torch.ones(3).pin_memory().to("cuda", non_blocking=True) == 1).device == GPU
        assert not machine.waits - Counter({("copy to the device", ""): 2})  # of the layer
        machine.waits.clear()
        waiting = [x.cpu, lambda: torch.ones(3).to("cuda"), lambda: torch.ones(3).to(GPU, non_blocking=True),
                   lambda: torch.tensor([1.0], device="cuda"), x.sum().item, lambda: bool(x.any()), x.tolist,
                   lambda: x[x > 0], lambda: x[torch.tensor([0])], x.nonzero, torch.cuda.synchronize,
                   lambda: x.copy_(torch.zeros(3))]  # fmt: skip
        for number, call in enumerate(waiting, 1):
            call()
            assert machine.waits.total() == number, call


def test_the_imitation_would_notice_a_missing_momentum_buffer(monkeypatch):
    def optimizer(training):
        return torch.optim.SGD(training.model.parameters(), 0.01, 0.9, fused=training.on_gpu)

    monkeypatch.setattr(Training, "_optimizer", optimizer)
    with imitated_gpu(), pytest.raises(TypeError, match="expected Tensor as element"):
        trained("miu", "features")


def test_the_imitation_would_notice_a_checkpoint_without_channels_last(tmp_path, monkeypatch):
    config = gru.TrainConfig(epochs=2, batch_size=16, warmup_epochs=0)
    contiguous = lambda t, **kwargs: torch.empty(t.shape, dtype=t.dtype, device=t.device)
    monkeypatch.setattr(torch, "empty_like", contiguous)
    with imitated_gpu(), pytest.raises(RuntimeError, match="check_fast_path_restrictions"):
        killed_and_continued(network("images"), made("images"), config, tmp_path / "checkpoint")


def test_the_imitation_would_notice_a_wait_in_each_step(monkeypatch):
    monkeypatch.setattr("gru_lite.methods.miu.to_device", lambda tensor, device: tensor.to(device))
    assert waits("miu released", "features", 32).total() < waits("miu released", "features", 16).total()


def test_the_imitation_would_notice_that_transformers_looks_at_a_mask(monkeypatch):
    pytest.importorskip("transformers", "5.0", reason="skipped: this version does not look at it")

    def with_plain_mask(self, x):
        ids, types, mask = x.unbind(1)
        return self.bert(input_ids=ids, token_type_ids=types, attention_mask=mask).pooler_output

    monkeypatch.setattr(_Bert, "forward", with_plain_mask)
    assert waits("fit", "tokens", 32).total() < waits("fit", "tokens", 16).total()
