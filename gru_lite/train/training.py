"""Training: a copy of a model that learns, step by step. `fit` and every method loop over it."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import numpy as np
import torch

from ..data.dataset import GroupedDataset
from ..errors import DivergedError, InputError
from ..models import Classifier, check_inputs
from ..seeding import stream, torch_stream
from .config import TrainConfig
from .device import default_device, device_data, to_device
from .parallel import averaged, desynchronise, gather, part, synchronise, world
from .prediction import autocast, outputs
from .sampling import Batch, Sampler

_watcher: ContextVar[Callable | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(look: Callable[[int, Classifier], None]) -> Iterator[None]:
    """Call look(epochs done, model) after every epoch of the trainings inside, for curves.

    The model is the one that trains: look at it and leave it as it is. What it takes is not counted as
    training.
    """
    token = _watcher.set(look)
    try:
        yield
    finally:
        _watcher.reset(token)


class Training:
    """A copy of a model that is being trained, with its optimiser, schedule and data on the device::

        with Training(model, dataset, config, seed) as training:
            for epoch in range(config.epochs):
                for batch in training.batches(epoch, sampler):
                    training.step(F.cross_entropy(training.logits(batch), batch.y))
                training.end_epoch(epoch)
        return training.finish()

    Args:
        model: Classifier; a copy is trained.
        dataset: GroupedDataset.
        config: TrainConfig.
        seed: integer >= 0, of order, draws and shifts.
        device: torch device; None takes the GPU when there is one.
        hold_statistics: BatchNorm uses the model's running statistics and leaves them as they are.
    """

    def __init__(
        self,
        model: Classifier,
        dataset: GroupedDataset,
        config: TrainConfig,
        seed: int = 0,
        device: torch.device | str | None = None,
        hold_statistics: bool = False,
    ):
        self.processes = world()[1]  # before the device is asked for: each process has its own
        self.device = default_device(device)
        self.on_gpu = self.device.type == "cuda"
        check_precision(config.precision, self.device)
        check_inputs(model, dataset)
        self.config, self.seed, self.dataset = config, seed, dataset
        self.augmented = config.augment and dataset.view is not None
        self.model = copy.deepcopy(model).to(self.device).train()
        if hold_statistics:
            hold_statistics_of(self.model)
        self.optimizer = self._optimizer()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.losses, self.seconds_before, self.started = [], 0.0, time.perf_counter()
        self.last_good = copy.deepcopy(self.model.state_dict())
        self._alone, self._together = _Features(self.model, config.compile), None

    def _optimizer(self):
        config, common = self.config, {"fused": self.on_gpu or None}
        common |= {"lr": config.lr, "weight_decay": config.weight_decay}
        if config.optimizer == "adamw":
            return torch.optim.AdamW(self.model.parameters(), **common)
        optimizer = torch.optim.SGD(self.model.parameters(), momentum=config.momentum, **common)
        if config.momentum:
            # Fused SGD wants all momentum buffers or none, but a step of features alone gives the head no
            # gradient; and a first step that overflows in float16 would leave its new ones as they lay in
            # memory. From zero, the first step is the same.
            for weight in self.model.parameters():
                optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return optimizer

    def __enter__(self):
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self.config.threads)
        self.data = device_data(self.dataset, self.device, self.config.shift)
        synchronise(self.model, self.device)
        self._random = torch.random.fork_rng([self.device] if self.on_gpu else [])
        self._random.__enter__()
        return self

    def __exit__(self, *error):
        self._random.__exit__(*error)
        torch.set_num_threads(self._threads_before)

    def batches(self, epoch: int, sampler: Sampler, *others: Sampler, main: bool = True) -> Iterator:
        """Yield the batches of one epoch; with several samplers, a tuple of one batch of each for every step.

        Args:
            epoch: counted from 0.
            sampler: whose steps the learning rate follows.
            others: walked side by side with it; each needs a name of its own and as many steps.
            main: False for a pass beside the main one: the learning rate stands still in it, at the value of
                the schedule counted in epochs.

        Raises:
            InputError: samplers of different numbers of steps, or of one name.
        """
        names, steps = [s.name for s in (sampler, *others)], {s.steps for s in (sampler, *others)}
        if len(steps) > 1 or len(set(names)) < len(names):
            raise InputError(
                f"the samplers {', '.join(names)} have {sorted(steps)} steps: each sampler needs a name of "
                "its own and as many steps as the first (Sampler(..., steps=, name=))"
            )
        drawn = [self.draw(epoch, sampler, main), *(self.draw(epoch, other, False) for other in others)]
        for i, batches in enumerate(zip(*drawn, strict=True)):
            at = (sampler.before(epoch) + i, sampler.steps) if main else (epoch, 1)
            self.optimizer.param_groups[0]["lr"] = self.config.lr_at(*at)
            yield batches if others else batches[0]

    def draw(
        self,
        epoch: int,
        sampler: Sampler,
        main: bool = True,
        steps: int | None = None,
        augment: bool | None = None,
    ) -> Iterator[Batch]:
        """Yield the same batches for a look: the learning rate is left alone.

        Args:
            epoch: counted from 0.
            sampler: Sampler.
            main: as in `batches`.
            steps: the first so many batches, or None for all.
            augment: True shows images as in training, False as in evaluation; None as the config says.
        """
        sizes, draws = sampler.sizes(epoch)[:steps], sampler.draw(epoch, self.seed)
        if not sizes:
            return
        name = "" if main else f" {sampler.name}"
        windows = None
        if augment is None:
            augment = self.augmented or not self.data.augments
        if augment:
            windows = self.data.windows(draws, stream(self.seed, f"{self.data.pass_name}{name}", epoch))
        starts = np.cumsum([0, *sizes])
        mine = [first + np.arange(n)[part(n)] for first, n in zip(starts, sizes, strict=False)]
        own = np.concatenate(mine)
        shown = windows[own] if windows is not None else None
        inputs = self.data.stream(draws[own], [len(rows) for rows in mine], shown)
        # Dropout draws from the global generators; the samples of another process are others.
        dropout = torch_stream(self.seed, f"dropout{name}", epoch, world()[0]).initial_seed()
        torch.default_generator.manual_seed(dropout)
        if self.on_gpu:
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(dropout)
        # The whole epoch goes to the device at once: no wait per step.
        draws = to_device(torch.from_numpy(draws[: starts[-1]]), self.device).split(sizes)
        for x, index in zip(inputs, draws, strict=True):
            yield Batch(x, self.data.target[index], index)

    def autocast(self, enabled: bool = True) -> torch.autocast:
        """The arithmetic of `precision`, for what is computed inside."""
        return autocast(self.device, self.config.precision if enabled else "float32")

    def forward(self, batch: Batch, exact: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (features (B, D), logits (B, Y)) in float32, whatever the precision of the backbone's
        arithmetic.

        The head is outside of autocast: in half precision, gradients with respect to the features could
        underflow. Of several processes, each computes its part of the batch and gets features and logits of
        all of it; or each computes all by itself, where the batch is whole. With `exact` the backbone
        computes in float32, too.
        """
        network, rows = self._alone, None
        if self.processes > 1 and not batch.whole:
            if self._together is None:  # not before a method has frozen what it freezes
                learns = any(weight.requires_grad for weight in self.model.backbone.parameters())
                self._together = averaged(self._alone) if learns else self._alone
            network, rows = self._together, len(batch.index)
        try:
            with self.autocast(not exact):
                z = network(batch.x, rows)
        except Exception as error:
            # Its errors have many classes.
            if self.config.compile and type(error).__module__.startswith("torch._"):
                reason = str(error).strip().splitlines()[0]
                raise InputError(
                    f"this model cannot be compiled here ({reason}): leave out compile"
                ) from error
            raise
        return z, self.model.head(z)

    def logits(self, batch: Batch) -> torch.Tensor:
        """Return the logits (B, Y) of a batch, float32."""
        return self.forward(batch)[1]

    def outputs(self, function: Callable) -> torch.Tensor:
        """Return what a function of the model, such as `Classifier.features`, makes of every sample: (N, .)
        on the device.

        In eval mode, without augmentation, in float32; the data set is on the device already, and processes
        share it.
        """
        index = np.arange(len(self.dataset))
        return gather(outputs(self.model, function, self.data, index[part(len(index))]), len(index))

    def step(self, loss: torch.Tensor, gradients: Callable[[], None] | None = None) -> None:
        """Make one optimiser step.

        Args:
            loss: scalar.
            gradients: called before the step, to change the gradients.
        """
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if gradients is not None:
            gradients()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(loss.detach())

    def end_epoch(self, epoch: int) -> None:
        """Check that losses, weights and BatchNorm's statistics are finite: the only wait for the device.

        The model is then the last good one.

        Raises:
            DivergedError: with the step, its loss and what to lower; its `model` is that of the last good
                epoch.
        """
        losses = torch.stack(self.losses).cpu() if self.losses else torch.zeros(1)
        kept = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        sound = torch.isfinite(torch.stack([value.sum() for value in kept]).sum())
        finite = torch.isfinite(losses)
        if not finite.all() or not sound:
            bad = len(losses) - 1 if finite.all() else int(finite.int().argmin())
            self.diverged(
                f"training diverged in epoch {epoch + 1}, step {bad + 1} of {len(losses)}: the loss is "
                f"{losses[bad].item():.4g}; lower lr ({self.config.lr})"
            )
        self.losses = []
        self.last_good = copy.deepcopy(self.model.state_dict())
        if look := _watcher.get():
            start = time.perf_counter()
            look(epoch + 1, self.model)
            self.started += time.perf_counter() - start

    def diverged(self, message: str) -> None:
        """Raise DivergedError with the model as it was after the last good epoch."""
        self.model.load_state_dict(self.last_good)
        raise DivergedError(message, self.finish())

    @property
    def seconds(self) -> float:
        """Seconds of this training, those before it was continued included."""
        return self.seconds_before + time.perf_counter() - self.started

    def finish(self) -> Classifier:
        """Return the model in eval mode, with the attribute `training_seconds`."""
        self.model.training_seconds = self.seconds
        desynchronise(self.model)
        return self.model.requires_grad_(True).eval()


class _Features(torch.nn.Module):
    """The features of `rows` samples from this process's part of them, as DistributedDataParallel can wrap
    them.

    The head stays outside: every process computes its gradient from the same features, and a loss need not
    use it.
    """

    def __init__(self, model, compiled):
        super().__init__()
        self.backbone = model.backbone  # whose gradients are averaged
        # The names of the weights stay.
        self.features = torch.compile(model.features) if compiled else model.features

    def forward(self, x, rows):
        z = self.features(x).float()  # before the head, so that logits have a gradient with respect to it
        return z if rows is None else gather(z, rows)


class Original:
    """Outputs of a training's model as it is now, in eval mode.

    Where no augmentation changes the images, they are computed once: `cached` (N, .). Images without a view
    are seen unshifted. Else they are computed on the augmented images of the batch.

    Args:
        training: Training.
        what: "features" or "logits".
        keep: keep a copy of the model even where its outputs are cached, for another mode.
    """

    def __init__(self, training: Training, what: str, keep: bool = False):
        self.training, self.what, self.model = training, what, None
        self.cached = None if training.augmented else training.outputs(getattr(self, f"_{what}"))
        if training.augmented or keep:
            self.model = copy.deepcopy(training.model).requires_grad_(False)

    @torch.no_grad()
    def __call__(self, batch: Batch, mode: str = "eval") -> torch.Tensor:
        """Return the outputs of a batch: float32 (B, .)."""
        if mode == "eval" and self.cached is not None:
            return self.cached[batch.index]
        self.model.train(mode == "train")
        z = getattr(self, f"_{self.what}")(self.model, batch.x)
        return z if batch.whole else gather(z, len(batch.index))

    def _features(self, model, x):
        with self.training.autocast(self.model is not None):  # what is kept for all epochs is exact
            return model.features(x).float()

    def _logits(self, model, x):
        return model.head(self._features(model, x))


def hold_statistics_of(module: torch.nn.Module) -> None:
    """Put every BatchNorm inside `module` into eval mode: its running statistics are used and do not move."""
    for layer in module.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.eval()


def check_precision(precision: str, device: torch.device) -> None:
    """Raise InputError where the hardware has not this precision."""
    if (
        precision == "bfloat16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise InputError("bfloat16 is not supported by this GPU: use float16")
    if precision == "float16" and device.type == "cpu":
        raise InputError("float16 is for GPUs: use float32 or bfloat16 on the CPU")
