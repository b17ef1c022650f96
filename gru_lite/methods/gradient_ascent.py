"""Gradient ascent on the forget set: undo the fitting of F by raising its loss (also called NegGrad)."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from ..train import Sampler, TrainConfig, Training


@dataclass(frozen=True)
class GradientAscentConfig(TrainConfig):
    """A few passes over F. There is no pass over R: REWEIGHT has nothing to act on."""

    epochs: int = 3
    batch_size: int = 64
    lr: float = 1e-3
    schedule: str = "const"
    warmup_epochs: int = 0

    RETAINS: ClassVar = False
    SPACE: ClassVar = {
        "lr": ("log", 1e-6, 1e-2), "epochs": ("choice", (1, 2, 3, 5)), "shift": ("choice", (0, 2)),
    }  # fmt: skip


def gradient_ascent(original, data, split, config, *, weights, sampling, seed):
    forget = Sampler(data, split.forget, config.batch_size, ragged=config.ragged)
    forget.steps, _ = config.limited(forget.steps)
    # A batch of one group has not the statistics of D: BatchNorm keeps the original's.
    with Training(original, data, config, seed, hold_statistics=True) as training:
        for epoch in range(config.epochs):
            for batch in training.batches(epoch, forget):
                training.step(-F.cross_entropy(training.logits(batch), batch.y))
            training.end_epoch(epoch)
    return training.finish()
