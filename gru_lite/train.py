"""fit() and predict(): the only training loop of the package, and the only prediction pass."""

import copy
import hashlib
import json
import math
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from .batches import DeviceData
from .errors import DivergedError, InputError, check_choice
from .models import read_tensors, write_tensors
from .reweighting import SAMPLING, draw_pass, pass_length
from .seeding import stream


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. The defaults are those of the embedded benchmarks.

    Attributes:
        epochs: passes over the data; an epoch has ceil(samples / batch_size) optimiser steps, each a full batch.
        batch_size: samples of a step.
        lr: highest learning rate.
        momentum, weight_decay: of SGD.
        schedule: "cosine" (to zero) or "const", after the warm-up.
        warmup_epochs: epochs in which the learning rate rises linearly from zero.
        shift: largest random shift of an image in pixels; 0 switches augmentation off.
        precision: "float32", or "bfloat16" for autocast where the hardware has it; never switched by itself.
        threads: CPU threads of this training. Part of the configuration because sums depend on it, bit by bit.
    """

    epochs: int = 15
    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-3
    schedule: str = "cosine"
    warmup_epochs: int = 2
    shift: int = 2
    precision: str = "float32"
    threads: int = 1

    def __post_init__(self):
        check_choice(self.schedule, ("cosine", "const"), "schedule")
        check_choice(self.precision, ("float32", "bfloat16"), "precision")
        for name, low in (("epochs", 1), ("batch_size", 2), ("warmup_epochs", 0), ("shift", 0), ("threads", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise InputError(f"{name} {value!r} is not a whole number of {low} or more")
        for name in ("lr", "momentum", "weight_decay"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
                raise InputError(f"{name} {value!r} is not a finite number of 0 or more")

    def lr_at(self, step, steps_per_epoch):
        """Learning rate of optimiser step `step` (counted from 0)."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return self.lr * (step + 1) / warmup
        if self.schedule == "const":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def fit(model, dataset, *, config=None, indices=None, weights=None, sampling="replacement", seed=0,
        steps_per_epoch=None, device=None, checkpoint=None, progress=False):
    """Train a copy of `model` by cross-entropy and return it in eval mode; what goes in is never changed.

    Args:
        model: a Classifier, where training starts.
        dataset: GroupedDataset.
        config: TrainConfig, or None for the defaults.
        indices: (n,) samples to train on, or None for all.
        weights: (n,) REWEIGHT weights of those samples, or None to visit each once per pass.
        sampling: with weights, "replacement" or "top_up" (see `gru_lite.reweighting.draw_pass`).
        seed: integer >= 0, the stream of training: order, draws and shifts.
        steps_per_epoch: optimiser steps of an epoch, to compare trainings at equal steps; None for ceil(draws / batch).
        device: torch device; None takes the GPU when there is one.
        checkpoint: file that is written after each epoch and, when it exists, continued from: the result is
            bit-identical to an uninterrupted training on the same CPU. From that of a finished training it returns at once.
        progress: True for a progress bar, or its label.

    Raises:
        InputError: weights or indices that do not fit the data, or a checkpoint of another training.
        DivergedError: the loss is no longer finite; says when, and what to lower.
    """
    config = config or TrainConfig()
    check_choice(sampling, SAMPLING, "sampling")
    index = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    if len(index) == 0 or not np.issubdtype(index.dtype, np.integer) or index.min() < 0 or index.max() >= len(dataset):
        raise InputError(f"indices must be samples 0 to {len(dataset) - 1} of the data set, whole numbers, at least one")
    index = index.astype(np.int64)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != index.shape or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise InputError(f"weights must be {len(index)} finite numbers of 0 or more, not all of them 0: one for each sample")
    group = dataset.group[index]
    length = pass_length(len(index), weights, group, sampling)
    batch_size = min(config.batch_size, length)
    steps = steps_per_epoch or math.ceil(length / batch_size)

    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    initial, model = model, copy.deepcopy(model).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay)
    first_epoch, seconds_before, started = 0, 0.0, time.perf_counter()
    if checkpoint is not None:
        mark = _fingerprint(initial, dataset, index, weights, sampling, seed, steps, config)
        if os.path.exists(checkpoint):
            first_epoch, seconds_before = _resume(checkpoint, mark, model, optimizer)

    with _threads(config.threads):
        data = DeviceData(dataset, device, config.shift)
        epochs = range(first_epoch, config.epochs)
        label = progress if isinstance(progress, str) else "training"
        quiet = {} if progress else {"disable": True}  # given only then: TQDM_DISABLE counts where nothing is given
        for epoch in tqdm(epochs, label, unit="epoch", initial=first_epoch, total=config.epochs, **quiet):
            # Full batches are cut from one endless sequence of passes: no ragged batch upsets BatchNorm, and any step
            # can be recomputed from its number alone. The whole epoch goes to the device at once: no wait per step.
            start = epoch * steps * batch_size
            draws = _draws(start, steps * batch_size, length, len(index), weights, group, sampling, seed)
            offsets = stream(seed, "shift", epoch).integers(0, 2 * config.shift + 1, (len(draws), 2))
            draws = torch.from_numpy(index[draws]).to(device).split(batch_size)
            offsets = torch.from_numpy(offsets).to(device).split(batch_size)
            total = torch.zeros((), device=device)
            for i in range(steps):
                optimizer.param_groups[0]["lr"] = config.lr_at(epoch * steps + i, steps)
                x, y = data.take(draws[i], offsets[i])
                with _autocast(device, config.precision):
                    logits = model(x)
                loss = F.cross_entropy(logits.float(), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            if not torch.isfinite(total):
                raise DivergedError(f"training diverged in epoch {epoch + 1}: the loss is {total.item()}; lower lr ({config.lr})")
            if checkpoint is not None:
                seconds = seconds_before + time.perf_counter() - started
                _write_checkpoint(checkpoint, mark, model, optimizer, epoch + 1, seconds)
    model.training_seconds = seconds_before + time.perf_counter() - started
    return model.eval()


@torch.no_grad()
def predict(model, dataset, indices=None, batch_size=1024, threads=1):
    """Return the logits of every sample, in eval mode and without augmentation: float32 numpy (n, Y).

    The model's mode is left as it was. Use it once per data set: every score is a function of these arrays.
    """
    device = next(model.parameters()).device
    index = torch.arange(len(dataset)) if indices is None else torch.as_tensor(np.asarray(indices, dtype=np.int64))
    mode = model.training
    model.eval()
    try:
        with _threads(threads):
            data = DeviceData(dataset, device)
            parts = [model(data.take(batch)[0]).float() for batch in index.to(device).split(batch_size)]
    finally:
        model.train(mode)
    return torch.cat(parts).cpu().numpy()


def _draws(start, count, length, n, weights, group, sampling, seed):
    """Positions `start` to `start + count` of the endless sequence of passes."""
    first, last = start // length, (start + count - 1) // length
    passes = [draw_pass(stream(seed, "order", p), n, weights, group, sampling) for p in range(first, last + 1)]
    return np.concatenate(passes)[start - first * length :][:count]


@contextmanager
def _threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _autocast(device, precision):
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _fingerprint(model, dataset, index, weights, sampling, seed, steps, config):
    """A digest of everything the result depends on, so that a checkpoint is continued only by its own training."""
    digest = hashlib.sha256(json.dumps([asdict(config), sampling, seed, steps], default=int).encode())
    for array in (dataset.inputs, dataset.target, dataset.group, index, weights if weights is not None else np.empty(0)):
        digest.update(np.ascontiguousarray(array))
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write_checkpoint(path, mark, model, optimizer, epoch, seconds):
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items() if tensor is not None}
    write_tensors(path, tensors, {"fingerprint": mark, "epoch": str(epoch), "seconds": repr(seconds)})


def _resume(path, mark, model, optimizer):
    tensors, metadata = read_tensors(path)
    if metadata.get("fingerprint") != mark:
        raise InputError(f"{path} is a checkpoint of another training: delete it, or name another file")
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    state = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["epoch"]), float(metadata["seconds"])
