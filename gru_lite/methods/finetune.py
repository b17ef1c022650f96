"""Fine-tune: go on training the original model on the retain set alone, and let it forget by itself."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from ..data.dataset import GroupedDataset
from ..groups import ForgetSplit
from ..train import Sampler, TrainConfig, fit


@dataclass(frozen=True)
class FinetuneConfig(TrainConfig):
    """Five epochs at the learning rate of training, without warm-up: a third of what retraining costs."""

    epochs: int = 5
    warmup_epochs: int = 0

    SPACE: ClassVar = {"lr": ("log", 1e-4, 0.2), "shift": ("choice", (0, 2))}


def finetune(original, data, split, config, *, weights, sampling, seed):
    steps = retain_sampler(data, split, config, weights, sampling).steps
    drawn = {"indices": split.retain, "weights": weights, "sampling": sampling, "steps_per_epoch": steps}
    return fit(original, data, **drawn, config=config, seed=seed)


def retain_sampler(
    data: GroupedDataset,
    split: ForgetSplit,
    config: TrainConfig,
    weights: np.ndarray | None,
    sampling: str | None,
) -> Sampler:
    """Return the Sampler of every method's pass over R: as many steps with REWEIGHT as without, however it
    samples. `weights` are (n_R,) of the retained samples, or None without REWEIGHT.
    """
    steps, _ = steps_of(split, config)
    return Sampler(data, split.retain, config.batch_size, weights, sampling, steps, config.ragged)


def forget_sampler(data: GroupedDataset, split: ForgetSplit, config: TrainConfig) -> Sampler:
    """Return the Sampler of a pass over F beside that over R, in batches of forget_batch_size."""
    _, steps = steps_of(split, config)
    passes = {"steps": steps, "ragged": config.ragged, "name": "forget"}
    return Sampler(data, split.forget, config.forget_batch_size, **passes)


def steps_of(split: ForgetSplit, config: TrainConfig) -> tuple[int | Fraction, int | Fraction]:
    """Return the optimiser steps of a pass over R, and of one over F beside it."""
    retain, forget = math.ceil(len(split.retain) / config.batch_size), 0
    if size := getattr(config, "forget_batch_size", 0):
        forget = math.ceil(len(split.forget) / size)
    return config.limited(retain, forget, min(config.epochs, getattr(config, "forget_epochs", config.epochs)))
