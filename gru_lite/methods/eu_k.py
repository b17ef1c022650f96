"""EU-k (Goel et al., 2022, *Towards adversarial evaluations for inexact machine unlearning*): exact, but for the first blocks.

The last k blocks and the head are reset and trained on R alone; what the first blocks learnt from F stays.
"""

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..errors import InputError
from ..seeding import torch_stream
from ..train import TrainConfig, Training, hold_statistics_of
from .finetune import retain_sampler


@dataclass(frozen=True)
class EUkConfig(TrainConfig):
    """blocks: how many of the backbone's last blocks are reset, besides the head."""

    epochs: int = 5
    warmup_epochs: int = 0
    blocks: int = 1

    SPACE: ClassVar = {"lr": ("log", 0.005, 0.1), "shift": ("choice", (0, 2)), "blocks": ("choice", (0, 1, 2))}


def eu_k(original, data, split, config, *, weights, sampling, seed, val=None):
    retain = retain_sampler(data, split, config, weights, sampling)
    start = copy.deepcopy(original).cpu()  # where the seed decides; a GPU draws from a generator of its own
    kept = reset_last(start, config.blocks, seed)
    with Training(start, data, config, seed) as training:
        for block in list(training.model.backbone)[:kept]:
            block.requires_grad_(False)
            hold_statistics_of(block)
        for epoch in range(config.epochs):
            for batch in training.batches(epoch, retain):
                training.step(F.cross_entropy(training.logits(batch.x), batch.y))
            training.end_epoch(epoch)
    return training.finish()


def reset_last(model, n_blocks, seed):
    """Give the head and the last blocks of the backbone new initial weights, in place; return how many children are kept.

    A block is a child of the backbone (a Sequential) that has parameters.
    """
    if not isinstance(model.backbone, torch.nn.Sequential):
        raise InputError(f"eu_k needs a backbone that is a Sequential of blocks, not {type(model.backbone).__name__}")
    children = list(model.backbone)
    blocks = [i for i, child in enumerate(children) if any(True for _ in child.parameters())]
    if not 0 <= n_blocks <= len(blocks):
        raise InputError(f"blocks {n_blocks} is not 0 to {len(blocks)}, the blocks of this backbone")
    kept = blocks[-n_blocks] if n_blocks else len(children)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_stream(seed, "reset").initial_seed())
        for part in (*children[kept:], model.head):
            for module in part.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
                elif any(True for _ in module.parameters(recurse=False)):
                    raise InputError(f"{type(module).__name__} cannot be reset: it has no reset_parameters")
    return kept
