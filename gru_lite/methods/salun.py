"""SalUn (Fan et al., 2024, *SalUn: empowering machine unlearning via gradient-based weight saliency*).

Only the weights to which the loss of F is most sensitive may move: they are trained on random labels of F,
and on R.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar, dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError, check_choice
from ..seeding import torch_stream
from ..train import Batch, Sampler, Training
from ..train.config import ReleasedConfig
from ..train.device import to_device
from ..train.prediction import evaluating
from .finetune import forget_sampler, retain_sampler


@dataclass(frozen=True)
class SalUnConfig(ReleasedConfig):
    """How SalUn unlearns. Fields given as None are corrected, or as released with as_released=True.

    Attributes:
        forget_batch_size: of the pass over F, which begins every epoch; 64 (released: batch_size).
        share: of all weights that may move, those with the largest absolute gradient.
        masked: the weights outside the mask keep the original's values exactly ("restored"); or only their
            gradients are masked, and weight decay, carried by momentum, still moves them ("moving",
            released).
        statistics: BatchNorm's stay the original's ("held"), or are "moving" (released), and with them what
            every weight behind them computes.
        mask: gradients are summed over the "samples" of F as in evaluation; or over means of "batches", of
            random crops where images are augmented (released).
        precision: of the backbone (released: "bfloat16"; of BERT "float32").
        lr_changes: with every "step", or "epoch" (released).
        ragged: as in TrainConfig (released: True).
        as_released: only when it is made: True takes the released value of each of these. A value given
            beside it that contradicts them is an error.
    """

    epochs: int = 5
    warmup_epochs: int = 0
    lr: float = 0.01
    forget_batch_size: int | None = None
    share: float = 0.5
    masked: str | None = None
    statistics: str | None = None
    mask: str | None = None
    precision: str | None = None
    lr_changes: str | None = None
    ragged: bool | None = None
    as_released: InitVar[bool | None] = None

    SPACE: ClassVar = {
        "lr": ("log", 1e-4, 0.2),
        "shift": ("choice", (0, 2)),
        "forget_batch_size": ("choice", (16, 32, 64, 128)),
        "share": ("linear", 0.1, 0.9),
        "statistics": ("choice", ("held", "moving")),
    }

    FORGET_BATCH_SIZE: ClassVar = 64
    CORRECTED: ClassVar = {
        "masked": "restored", "statistics": "held", "mask": "samples", "precision": "float32",
        "lr_changes": "step", "ragged": False,
    }  # fmt: skip
    RELEASED: ClassVar = {
        "masked": "moving", "statistics": "moving", "mask": "batches", "precision": "bfloat16",
        "lr_changes": "epoch", "ragged": True,
    }  # fmt: skip

    def __post_init__(self, as_released):
        super().__post_init__(as_released)
        check_choice(self.masked, ("restored", "moving"), "masked")
        check_choice(self.statistics, ("held", "moving"), "statistics")
        check_choice(self.mask, ("samples", "batches"), "mask")
        if not 0 < self.share <= 1:
            raise InputError(
                f"share {self.share} is outside (0, 1]: give the share of the weights that may move"
            )


def salun(original, data, split, config, *, weights, sampling, seed):
    retain = retain_sampler(data, split, config, weights, sampling)
    forget = forget_sampler(data, split, config)
    with Training(original, data, config, seed, hold_statistics=config.statistics == "held") as training:
        model = training.model
        # All of F, however few of its batches the steps allow.
        whole = replace(config, steps=0)
        means_of = forget_sampler(data, split, whole) if config.mask == "batches" else None
        mask = saliency_mask(training, split.forget, config.share, means_of)
        weights_of, kept = list(model.parameters()), [(~m).float() for m in mask]
        before = torch._foreach_mul([weight.detach() for weight in weights_of], kept)  # 0 where they may move
        moves = [m.float() for m in mask]
        labels = torch_stream(seed, "random labels")

        def masked_step(loss):
            training.step(loss, lambda: torch._foreach_mul_([weight.grad for weight in weights_of], moves))
            if config.masked == "restored":
                with torch.no_grad():
                    torch._foreach_mul_(weights_of, moves)
                    torch._foreach_add_(weights_of, before)

        for epoch in range(config.epochs):
            sizes = forget.sizes(epoch)
            drawn = torch.randint(data.n_targets, (sum(sizes),), generator=labels)
            # The whole pass at once: no wait per step.
            random = iter(to_device(drawn, training.device).split(sizes))
            for batch in training.batches(epoch, forget, main=False):
                masked_step(F.cross_entropy(training.logits(batch), next(random)))
            for batch in training.batches(epoch, retain):
                masked_step(F.cross_entropy(training.logits(batch), batch.y))
            training.end_epoch(epoch)
    return training.finish()


def as_they_are(training: Training, forget: np.ndarray) -> Iterator[Batch]:
    """Yield the samples `forget` once, as in evaluation."""
    size = training.data.pass_size
    # Where a pass without gradients has few samples, one with gradients has no more than a step.
    at_once = size if size > 128 else training.config.forget_batch_size
    indices = to_device(torch.from_numpy(forget), training.device).split(at_once)
    for x, index in zip(training.data.stream(forget, at_once), indices, strict=True):
        yield Batch(x, training.data.target[index], index, whole=True)


def saliency_mask(
    training: Training, forget: np.ndarray, share: float, means_of: Sampler | None = None
) -> list[torch.Tensor]:
    """Return a boolean tensor for each parameter: True for the weights with the largest summed gradient on F.

    In eval mode and float32, on the images as they are.

    Args:
        training: Training, entered.
        forget: int64 (n_F,) samples of F.
        share: exactly round(share * number of weights) are True.
        means_of: instead of samples, sum the means of this sampler's first batches, on images as in training.
    """
    model, reduction = training.model, "mean" if means_of else "sum"
    batches = training.draw(0, means_of, main=False) if means_of else as_they_are(training, forget)
    with evaluating(model):
        model.zero_grad()
        for batch in batches:
            _, logits = training.forward(batch, exact=True)
            F.cross_entropy(logits, batch.y, reduction=reduction).backward()
        weights = list(model.parameters())
        size = torch.cat([weight.grad.abs().flatten() for weight in weights])
        chosen = torch.zeros_like(size, dtype=torch.bool)
        chosen[size.topk(round(share * len(size))).indices] = True
        model.zero_grad()
    parts = chosen.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
