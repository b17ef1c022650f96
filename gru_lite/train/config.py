"""How a model is trained, as a frozen dataclass that checks itself; every method's configuration is one."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import ClassVar

from ..errors import InputError, check_choice

# The least of a whole number that is not 0.
LEAST = {"epochs": 1, "batch_size": 2, "forget_batch_size": 1, "threads": 1, "first_steps": 1}


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. The defaults are those of the embedded benchmarks.

    Attributes:
        epochs: passes over the data; an epoch has ceil(samples / batch_size) optimiser steps.
        batch_size: samples of a step.
        lr: highest learning rate.
        momentum: of SGD.
        weight_decay: of either optimiser.
        schedule: "cosine" (to zero) or "const", after the warm-up.
        warmup_epochs: epochs in which the learning rate rises linearly from zero.
        shift: largest random shift of an image in pixels; 0 switches it off. Images with a view are never
            shifted.
        precision: "float32"; or autocast to "bfloat16" where the hardware has it, or to "float16", with
            scaled gradients, on a GPU that has not; never switched by itself.
        threads: CPU threads of this training's steps (a prediction takes one). Part of the configuration
            because sums depend on it, bit by bit.
        augment: images with a view are cropped and flipped at random in training; or they are seen as in
            evaluation.
        optimizer: "sgd" or "adamw".
        lr_changes: the learning rate changes with every "step"; or with every "epoch" after the warm-up,
            which then begins at exactly 0, as the authors' release does.
        ragged: a pass ends with a smaller batch where the samples do not fill it, as in the release; or all
            batches are full, cut from one endless sequence of passes.
        compile: compile the backbone with torch.compile; it pays off after minutes.
        steps: optimiser steps of the whole training at most, of all its passes together, which are shortened
            alike; 0: no limit.
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
    lr_changes: str = "step"
    ragged: bool = False
    compile: bool = False
    steps: int = 0

    def __post_init__(self):
        """Check every field against the type of its default, in the configs of the methods, too."""
        check_choice(self.schedule, ("cosine", "const"), "schedule")
        check_choice(self.precision, ("float32", "bfloat16", "float16"), "precision")
        check_choice(self.optimizer, ("sgd", "adamw"), "optimizer")
        check_choice(self.lr_changes, ("step", "epoch"), "lr_changes")
        for field in fields(self):
            self._check_number(field.name, type(field.default))

    def _check_number(self, name: str, kind: type) -> None:
        value, low = getattr(self, name), LEAST.get(name, 0)
        if kind is bool and not isinstance(value, bool):
            raise InputError(f"{name} {value!r} is neither True nor False")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is int and (not is_number or isinstance(value, float) or value < low):
            raise InputError(f"{name} {value!r} is not a whole number of {low} or more")
        if kind is float and (not is_number or not math.isfinite(value) or value < 0):
            raise InputError(f"{name} {value!r} is not a finite number of 0 or more")

    def limited(
        self, main: int | Fraction, beside: int = 0, epochs: int = 0
    ) -> tuple[int | Fraction, int | Fraction]:
        """Return (steps of a main pass, steps of one beside it), shortened alike where `steps` limits them.

        Args:
            main: steps of the pass of every epoch.
            beside: steps of another pass.
            epochs: how many epochs have the other pass.
        """
        others = epochs * beside
        total = self.epochs * main + others
        if not 0 < self.steps < total:
            return main, beside
        others = round(self.steps * others / total)
        return Fraction(self.steps - others, self.epochs), Fraction(others, max(epochs, 1))

    def lr_at(self, step: int, steps_per_epoch: int | Fraction) -> float:
        """Return the learning rate of an optimiser step.

        Args:
            step: number of the step, counted from 0.
            steps_per_epoch: how many an epoch has, on average.
        """
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        by_step = self.lr_changes == "step"
        if step < warmup:
            return self.lr * (step + by_step) / warmup
        if not by_step:
            step -= step % steps_per_epoch
        if self.schedule == "const":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


class ReleasedConfig(TrainConfig):
    """What the configurations share that can be as their authors released them.

    A dataclass that extends it has fields that are None until they are filled, the values of CORRECTED and
    of RELEASED for them, and `as_released: InitVar`. As released, a pass over F has batches of batch_size.
    """

    CORRECTED: ClassVar[dict] = {}
    RELEASED: ClassVar[dict] = {}
    FORGET_BATCH_SIZE: ClassVar[int] = 32  # corrected

    @classmethod
    def released(cls, **changes) -> ReleasedConfig:
        """Return the configuration with the authors' values, and `changes` over them."""
        one_size = {"forget_batch_size": changes.get("batch_size", cls.batch_size)}
        return cls(**(cls.RELEASED | one_size | changes))

    def __post_init__(self, as_released: bool | None):
        corrected = self.CORRECTED | {"forget_batch_size": self.FORGET_BATCH_SIZE}
        self._fill(as_released, corrected, self.RELEASED | {"forget_batch_size": self.batch_size})
        super().__post_init__()

    def _fill(self, as_released: bool | None, corrected: dict, released: dict) -> None:
        """Give every field that was left None its value, corrected or released, and refuse a contradiction.

        Args:
            as_released: what the caller said, or None. True asks for the released values, False for corrected
                ones.
            corrected: {field: our value}.
            released: {field: the authors' value} of the same fields.
        """
        given = {name: getattr(self, name) for name in corrected if getattr(self, name) is not None}
        other = {name: value for name, value in given.items() if value != released[name]}
        if as_released and other:
            name, value = next(iter(other.items()))
            raise InputError(
                f"as_released=True and {name}={value!r} contradict each other: as released, it is "
                f"{released[name]!r}; for one change use {type(self).__name__}.released({name}={value!r})"
            )
        if as_released is False and len(given) == len(released) and not other:
            name, value = next(iter(given.items()))
            raise InputError(
                f"as_released=False and {name}={value!r} contradict each other: this value and all others "
                f"are as released; begin with {type(self).__name__}()"
            )
        for name in corrected.keys() - given.keys():
            object.__setattr__(self, name, (released if as_released else corrected)[name])
        for name, value in corrected.items():
            self._check_number(name, type(value))
