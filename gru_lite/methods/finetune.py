"""Fine-tune: go on training the original model on the retain set alone, and let it forget by itself."""

from dataclasses import dataclass
from typing import ClassVar

from ..train import Sampler, TrainConfig, fit


@dataclass(frozen=True)
class FinetuneConfig(TrainConfig):
    """Five epochs at the learning rate of training, without warm-up: a third of what retraining costs."""

    epochs: int = 5
    warmup_epochs: int = 0

    SPACE: ClassVar = {"lr": ("log", 0.005, 0.1), "shift": ("choice", (0, 2))}


def finetune(original, data, split, config, *, weights, sampling, seed, val=None):
    steps = retain_sampler(data, split, config, weights, sampling).steps
    return fit(original, data, indices=split.retain, weights=weights, sampling=sampling, steps_per_epoch=steps,
               config=config, seed=seed)


def retain_sampler(data, split, config, weights, sampling):
    """The pass over R of every method: as many steps with REWEIGHT as without, however it samples."""
    steps = -(-len(split.retain) // config.batch_size)
    return Sampler(data, split.retain, config.batch_size, weights, sampling, steps)
