"""fit(), and the Training it is a loop over; predict() and extract_features(), the only prediction pass."""

import copy
import hashlib
import json
import math
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from .batches import DeviceData
from .distributed import averaged, broadcast, desynchronise, gather, is_main, part, synchronise, world
from .errors import DivergedError, InputError, check_choice
from .models import check_inputs, read_tensors, write_tensors
from .reweighting import SAMPLING, draw_pass, pass_length
from .seeding import stream, torch_stream


LEAST = {"epochs": 1, "batch_size": 2, "forget_batch_size": 1, "threads": 1, "first_steps": 1}  # of whole numbers; else 0


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. The defaults are those of the embedded benchmarks.

    Attributes:
        epochs: passes over the data; an epoch has ceil(samples / batch_size) optimiser steps, each a full batch.
        batch_size: samples of a step.
        lr: highest learning rate.
        optimizer: "sgd" or "adamw". momentum: of SGD; weight_decay: of either.
        schedule: "cosine" (to zero) or "const", after the warm-up.
        warmup_epochs: epochs in which the learning rate rises linearly from zero.
        shift: largest random shift of an image in pixels; 0 switches it off. Images with a view are never shifted.
        augment: images with a view are cropped and flipped at random in training; or they are seen as in evaluation.
        precision: "float32"; or autocast to "bfloat16" where the hardware has it, or to "float16", with scaled gradients,
            on a GPU that has not; never switched by itself.
        compile: compile the backbone with torch.compile; it pays off after minutes.
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
    augment: bool = True
    optimizer: str = "sgd"
    compile: bool = False

    def __post_init__(self):
        """Check every field against the type of its default, in the configs of the methods, too."""
        check_choice(self.schedule, ("cosine", "const"), "schedule")
        check_choice(self.precision, ("float32", "bfloat16", "float16"), "precision")
        check_choice(self.optimizer, ("sgd", "adamw"), "optimizer")
        for field in fields(self):
            name, kind, value = field.name, type(field.default), getattr(self, field.name)
            low = LEAST.get(name, 0)
            if kind is bool and not isinstance(value, bool):
                raise InputError(f"{name} {value!r} is neither True nor False")
            if kind is int and (isinstance(value, bool) or not isinstance(value, int) or value < low):
                raise InputError(f"{name} {value!r} is not a whole number of {low} or more")
            if kind is float and (isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0):
                raise InputError(f"{name} {value!r} is not a finite number of 0 or more")

    def lr_at(self, step, steps_per_epoch):
        """Learning rate of optimiser step `step` (counted from 0)."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return self.lr * (step + 1) / warmup
        if self.schedule == "const":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


# fields that came later: left out of records at these values, so that what an earlier version began can be continued
LATER = {"augment": True, "optimizer": "sgd", "compile": False}


def as_record(config):
    """A config as a dict, as every version of this package writes it."""
    return {name: value for name, value in asdict(config).items() if name not in LATER or value != LATER[name]}


class Sampler:
    """Where batches come from: samples of a data set, and how a pass over them is drawn.

    Args:
        dataset: GroupedDataset.
        indices: (n,) samples, or None for all.
        batch_size: samples of a step; n at most.
        weights: (n,) REWEIGHT weights of those samples, or None to visit each once per pass.
        sampling: with weights, "replacement" or "top_up" (see `gru_lite.reweighting.draw_pass`).
        steps: batches of an epoch; None for ceil(draws / batch_size).
        name: of the random stream, so that the draws of one sampler do not depend on those of another.

    Raises:
        InputError: weights or indices that do not fit the data.
    """

    def __init__(self, dataset, indices=None, batch_size=64, weights=None, sampling="replacement", steps=None, name="order"):
        check_choice(sampling, SAMPLING, "sampling")
        index = np.arange(len(dataset)) if indices is None else np.asarray(indices)
        if len(index) == 0 or not np.issubdtype(index.dtype, np.integer) or index.min() < 0 or index.max() >= len(dataset):
            raise InputError(f"indices must be samples 0 to {len(dataset) - 1} of the data set, whole numbers, at least one")
        self.index = index.astype(np.int64)
        if weights is not None:
            weights = np.asarray(weights, dtype=np.float64)
            if weights.shape != index.shape or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
                raise InputError(f"weights must be {len(index)} finite numbers of 0 or more, not all of them 0: one for each sample")
        self.weights, self.sampling, self.name = weights, sampling, name
        self.group = dataset.group[index]
        self.length = pass_length(len(index), weights, self.group, sampling)
        self.batch_size = min(batch_size, self.length)
        self.steps = steps or math.ceil(self.length / self.batch_size)

    def draw(self, epoch, seed):
        """Return the samples of one epoch: int64 (steps * batch_size,), a function of seed and epoch alone.

        Full batches are cut from one endless sequence of passes: no ragged batch upsets BatchNorm, and any step can be
        recomputed from its number.
        """
        count = self.steps * self.batch_size
        start = epoch * count
        first, last = start // self.length, (start + count - 1) // self.length
        passes = [draw_pass(stream(seed, self.name, p), len(self.index), self.weights, self.group, self.sampling)
                  for p in range(first, last + 1)]
        return self.index[np.concatenate(passes)[start - first * self.length :][:count]]


class Batch(NamedTuple):
    """A batch on the device: inputs x, targets y (B,), and which samples of the data set they are, int64 (B,).

    Of several processes, each has its own part of x, and all of y and index.
    """

    x: torch.Tensor
    y: torch.Tensor
    index: torch.Tensor


class Training:
    """A copy of a model that is being trained, with its optimiser, schedule and data on the device.

    fit() and every unlearning method are loops over `batches` that call `step`::

        with Training(model, dataset, config, seed) as training:
            for epoch in range(config.epochs):
                for batch in training.batches(epoch, sampler):
                    training.step(F.cross_entropy(training.logits(batch.x), batch.y))
                training.end_epoch(epoch)
        return training.finish()

    Args:
        model: Classifier; a copy is trained. dataset: GroupedDataset. config: TrainConfig.
        seed: integer >= 0, of order, draws and shifts.
        device: torch device; None takes the GPU when there is one.
        hold_statistics: BatchNorm uses the model's running statistics and leaves them as they are.
    """

    def __init__(self, model, dataset, config, seed=0, device=None, hold_statistics=False):
        self.processes = world()[1]  # before the device is asked for: each process has its own
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if self.device.type == "cuda" and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        check_precision(config.precision, self.device)
        check_inputs(model, dataset)
        self.config, self.seed, self.dataset = config, seed, dataset
        self.augmented = config.augment and dataset.view is not None
        self.model = copy.deepcopy(model).to(self.device).train()
        if hold_statistics:
            hold_statistics_of(self.model)
        on_gpu = self.device.type == "cuda"
        kind, options = (torch.optim.SGD, {"momentum": config.momentum}) if config.optimizer == "sgd" else (torch.optim.AdamW, {})
        options |= {"lr": config.lr, "weight_decay": config.weight_decay, "fused": on_gpu or None}
        self.optimizer = kind(self.model.parameters(), **options)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.losses, self.seconds_before, self.started = [], 0.0, time.perf_counter()
        self.last_good = copy.deepcopy(self.model.state_dict())
        self.alone, self.together, self.rows = _Features(self.model, config.compile), None, None

    def __enter__(self):
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self.config.threads)
        self.data = DeviceData(self.dataset, self.device, self.config.shift)
        synchronise(self.model, self.device)
        self._random = torch.random.fork_rng([self.device] if self.device.type == "cuda" else [])
        self._random.__enter__()
        return self

    def __exit__(self, *error):
        self._random.__exit__(*error)
        torch.set_num_threads(self._threads_before)

    def batches(self, epoch, sampler, main=True):
        """Yield the batches of one epoch.

        The schedule counts the steps of the `main` sampler; in the passes of others the learning rate stands still, at
        the value of the schedule counted in epochs.
        """
        for i, batch in enumerate(self.draw(epoch, sampler, main)):
            at = (epoch * sampler.steps + i, sampler.steps) if main else (epoch, 1)
            self.optimizer.param_groups[0]["lr"] = self.config.lr_at(*at)
            yield batch

    def draw(self, epoch, sampler, main=True, steps=None, augment=True):
        """Yield the same batches, or the first `steps` of them, for a look: the learning rate is left alone.

        Without `augment`, images are seen as in evaluation.
        """
        size, steps = sampler.batch_size, steps if steps is not None else sampler.steps
        draws = sampler.draw(epoch, self.seed)
        name = "" if main else f" {sampler.name}"
        windows = None
        if self.augmented:
            windows = self.data.draw(draws, stream(self.seed, f"crop{name}", epoch))
        elif self.dataset.view is None:
            windows = stream(self.seed, f"shift{name}", epoch).integers(0, 2 * self.config.shift + 1, (len(draws), 2))
        mine = np.arange(steps * size).reshape(steps, size)[:, part(size)]
        shown = windows[mine.ravel()] if augment and windows is not None else None
        inputs = self.data.stream(draws[mine.ravel()], mine.shape[1], shown, steps)
        # Dropout draws from the global generators; the samples of another process are others.
        dropout = torch_stream(self.seed, f"dropout{name}", epoch, world()[0]).initial_seed()
        torch.default_generator.manual_seed(dropout)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(dropout)
        # The whole epoch goes to the device at once: no wait per step.
        draws = torch.from_numpy(draws).to(self.device).split(size)
        for x, index in zip(inputs, draws):
            self.rows = size
            yield Batch(x, self.data.target[index], index)

    def autocast(self, enabled=True):
        """The arithmetic of `precision`, for what is computed inside."""
        half = torch.float16 if self.config.precision == "float16" else torch.bfloat16
        return torch.autocast(self.device.type, half, enabled and self.config.precision != "float32")

    def forward(self, x, whole=False):
        """Return (features (B, D), logits (B, Y)) in float32, whatever the precision of the model's own arithmetic.

        Of several processes, each gives its part of the last batch and gets features and logits of all of it; or each
        computes all by itself, where x is a `whole` batch.
        """
        network = self.alone
        if self.processes > 1 and not whole:
            if self.together is None:  # not before a method has frozen what it freezes
                self.together = averaged(self.alone)
            network = self.together
        try:
            with self.autocast():
                z = network(x, None if whole else self.rows)
                logits = self.model.head(z)
        except Exception as error:
            if self.config.compile and type(error).__module__.startswith("torch._"):  # its errors have many classes
                reason = str(error).strip().splitlines()[0]
                raise InputError(f"this model cannot be compiled here ({reason}): leave out compile") from error
            raise
        return z, logits.float()

    def logits(self, x, whole=False):
        return self.forward(x, whole)[1]

    def outputs(self, function):
        """Return what a function of the model, such as `model.features`, makes of every sample: (N, .) on the device.

        In eval mode, without augmentation, in float32; the data set is on the device already, and processes share it.
        """
        index = np.arange(len(self.dataset))
        return gather(_outputs(self.model, function, self.data, index[part(len(index))]), len(index))

    def step(self, loss, gradients=None):
        """One optimiser step on a scalar loss; `gradients` is called in between, to change them."""
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if gradients is not None:
            gradients()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(loss.detach())

    def end_epoch(self, epoch):
        """Check that losses and parameters are finite: the only wait for the device. The model is then the last good one.

        Raises:
            DivergedError: with the step, its loss and what to lower; its `model` is that of the last good epoch.
        """
        losses = torch.stack(self.losses).cpu()
        sound = torch.isfinite(torch.stack([p.detach().sum() for p in self.model.parameters()]).sum())
        if not torch.isfinite(losses).all() or not sound:
            bad = len(losses) - 1 if torch.isfinite(losses).all() else int(torch.isfinite(losses).int().argmin())
            self.diverged(f"training diverged in epoch {epoch + 1}, step {bad + 1} of {len(losses)}: the loss is "
                          f"{losses[bad].item():.4g}; lower lr ({self.config.lr})")
        self.losses = []
        self.last_good = copy.deepcopy(self.model.state_dict())

    def diverged(self, message):
        """Raise DivergedError with the model as it was after the last good epoch."""
        self.model.load_state_dict(self.last_good)
        raise DivergedError(message, self.finish())

    @property
    def seconds(self):
        return self.seconds_before + time.perf_counter() - self.started

    def finish(self):
        """Return the model in eval mode, with the attribute `training_seconds`."""
        self.model.training_seconds = self.seconds
        desynchronise(self.model)
        return self.model.requires_grad_(True).eval()


class _Features(torch.nn.Module):
    """The features of `rows` samples from this process's part of them, as DistributedDataParallel can wrap them.

    The head stays outside: every process computes its gradient from the same features, and a loss need not use it.
    """

    def __init__(self, model, compiled):
        super().__init__()
        self.backbone = model.backbone  # whose gradients are averaged
        self.features = torch.compile(model.features) if compiled else model.features  # the names of the weights stay

    def forward(self, x, rows):
        z = self.features(x).float()  # before the head, so that logits have a gradient with respect to it
        return z if rows is None else gather(z, rows)


class Original:
    """Outputs of a training's model as it is now, `what` ("features" or "forward") of each batch, in eval mode.

    Where no augmentation changes the images, they are computed once: `cached` (N, .). Images without a view are seen
    unshifted. Else they are computed on the augmented images of the batch.
    """

    def __init__(self, training, what, keep=False):
        self.training, self.what = training, what
        self.cached = None if training.augmented else training.outputs(getattr(training.model, what))
        self.model = copy.deepcopy(training.model).requires_grad_(False) if training.augmented or keep else None

    @torch.no_grad()
    def __call__(self, batch, mode="eval"):
        if mode == "eval" and self.cached is not None:
            return self.cached[batch.index]
        self.model.train(mode == "train")
        with self.training.autocast(self.training.augmented):
            return gather(getattr(self.model, self.what)(batch.x).float(), len(batch.index))


def hold_statistics_of(module):
    """Put every BatchNorm inside `module` into eval mode: its running statistics are used and do not move."""
    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.eval()


def fit(model, dataset, *, config=None, indices=None, weights=None, sampling="replacement", seed=0,
        steps_per_epoch=None, device=None, checkpoint=None, progress=False, keep_best=None):
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
        keep_best: validation set; the model of the epoch with the highest accuracy on it is returned, of equal ones the
            first. None: the last epoch.

    Raises:
        InputError: weights or indices that do not fit the data, or a checkpoint of another training.
        DivergedError: the loss is no longer finite; says when, and what to lower.
    """
    config = config or TrainConfig()
    sampler = Sampler(dataset, indices, config.batch_size, weights, sampling, steps_per_epoch)
    training = Training(model, dataset, config, seed, device)
    first_epoch, best = 0, (-1.0, {})  # best: accuracy and state of the epoch that is kept
    if checkpoint is not None:
        mark = _fingerprint(model, dataset, sampler, seed, config, keep_best)
        if os.path.exists(checkpoint):
            first_epoch, training.seconds_before, best = _resume(checkpoint, mark, training)
    with training:
        epochs = range(first_epoch, config.epochs)
        label = progress if isinstance(progress, str) else "training"
        quiet = {} if progress and is_main() else {"disable": True}  # given only then: TQDM_DISABLE counts where nothing is given
        for epoch in tqdm(epochs, label, unit="epoch", initial=first_epoch, total=config.epochs, **quiet):
            for batch in training.batches(epoch, sampler):
                training.step(F.cross_entropy(training.logits(batch.x), batch.y))
            training.end_epoch(epoch)
            if keep_best is not None:
                # one process decides: the sums of several may differ in their last bit
                accuracy = broadcast(float((predict(training.model, keep_best).argmax(1) == keep_best.target).mean()))
                best = max(best, (accuracy, copy.deepcopy(training.model.state_dict())), key=lambda kept: kept[0])
            if checkpoint is not None and is_main():
                _write_checkpoint(checkpoint, mark, training, epoch + 1, best)
    if keep_best is not None:
        training.model.load_state_dict(best[1])
    return training.finish()


def predict(model, dataset, indices=None, batch_size=None, threads=1):
    """Return the logits of every sample, in eval mode and without augmentation: float32 numpy (n, Y).

    The model's mode is left as it was. Use it once per data set: every score is a function of these arrays.

    Args:
        batch_size: samples at a time; None for 1024, or 128 of images with a view and of tokens.
    """
    return _of_dataset(model, model, dataset, indices, batch_size, threads)


def extract_features(model, dataset, indices=None, batch_size=None, threads=1):
    """Return the features of every sample, the input of the linear head, likewise: float32 numpy (n, D)."""
    return _of_dataset(model, model.features, dataset, indices, batch_size, threads)


def _of_dataset(model, function, dataset, indices, batch_size, threads):
    check_inputs(model, dataset)
    index = np.arange(len(dataset)) if indices is None else np.asarray(indices, dtype=np.int64)
    data = DeviceData(dataset, next(model.parameters()).device)
    return _outputs(model, function, data, index, batch_size, threads).cpu().numpy()


@torch.no_grad()
def _outputs(model, function, data, index, batch_size=None, threads=1):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with _threads(threads):
            return torch.cat([function(x).float() for x in data.stream(index, batch_size or data.pass_size)])
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_precision(precision, device):
    """Raise InputError where the hardware has not this precision."""
    if precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError("bfloat16 is not supported by this GPU: use float16")
    if precision == "float16" and device.type == "cpu":
        raise InputError("float16 is for GPUs: use float32 or bfloat16 on the CPU")


def _fingerprint(model, dataset, sampler, seed, config, keep_best=None):
    """A digest of everything the result depends on, so that a checkpoint is continued only by its own training."""
    digest = hashlib.sha256(json.dumps([as_record(config), sampler.sampling, seed, sampler.steps], default=int).encode())
    for data in (dataset, keep_best) if keep_best is not None else (dataset,):
        # Of a data set on disk, which can have many gigabytes, a thousand samples stand for all.
        inputs = data.inputs if data.view is None and data.tokens is None else data.inputs[:: -(-len(data) // 1000)]
        for array in (inputs, data.target, data.group, data.aspect):
            digest.update(np.ascontiguousarray(array if array is not None else np.empty(0)))
        if data.view is not None:
            digest.update(json.dumps([data.view, data.inputs.shape]).encode())
    for array in (sampler.index, sampler.weights):
        digest.update(np.ascontiguousarray(array if array is not None else np.empty(0)))
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write_checkpoint(path, mark, training, epoch, best):
    model, optimizer = training.model, training.optimizer
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best[1].items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items() if tensor is not None}
    about = {"fingerprint": mark, "epoch": str(epoch), "seconds": repr(training.seconds), "best": repr(best[0]),
             "scaler": json.dumps(training.scaler.state_dict())}
    write_tensors(path, tensors, about)


def _resume(path, mark, training):
    """Put a training where the checkpoint is; return its epoch and its seconds."""
    tensors, metadata = read_tensors(path)
    if metadata.get("fingerprint") != mark:
        raise InputError(f"{path} is a checkpoint of another training: delete it, or name another file")
    training.model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    state = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = tensor
    optimizer = training.optimizer
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    if training.scaler.is_enabled():
        training.scaler.load_state_dict(json.loads(metadata["scaler"]))
    best = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
    return int(metadata["epoch"]), float(metadata["seconds"]), (float(metadata.get("best", -1)), best)
