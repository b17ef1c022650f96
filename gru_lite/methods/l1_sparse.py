"""L1-sparse (Jia et al., 2023, *Model sparsity can simplify machine unlearning*): fine-tune with a penalty on
all weights.

The penalty fades linearly, so that the last epochs repair what it pruned.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..train import TrainConfig, Training
from .finetune import retain_sampler


@dataclass(frozen=True)
class L1SparseConfig(TrainConfig):
    """How L1-sparse unlearns.

    Attributes:
        alpha: strength of the penalty in the first epoch.
    """

    epochs: int = 5
    warmup_epochs: int = 0
    alpha: float = 5e-4

    SPACE: ClassVar = {"lr": ("log", 1e-4, 0.2), "shift": ("choice", (0, 2)), "alpha": ("log", 1e-6, 2e-3)}


def l1_sparse(original, data, split, config, *, weights, sampling, seed):
    retain = retain_sampler(data, split, config, weights, sampling)
    with Training(original, data, config, seed) as training:
        for epoch in range(config.epochs):
            alpha = config.alpha * (1 - epoch / config.epochs)
            for batch in training.batches(epoch, retain):
                # sum |theta|, of all weights in a few kernels
                penalty = torch.stack(torch._foreach_norm(list(training.model.parameters()), 1)).sum()
                training.step(F.cross_entropy(training.logits(batch), batch.y) + alpha * penalty)
            training.end_epoch(epoch)
    return training.finish()
