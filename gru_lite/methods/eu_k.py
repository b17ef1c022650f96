"""EU-k (Goel et al., 2022, *Towards adversarial evaluations for inexact machine unlearning*): exact, but for
the first blocks.

The last k blocks and the head are reset and trained on R alone; what the first blocks learnt from F stays.
"""

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..errors import InputError
from ..models import Classifier
from ..seeding import torch_stream
from ..train import TrainConfig, Training
from .finetune import retain_sampler


@dataclass(frozen=True)
class EUkConfig(TrainConfig):
    """How EU-k unlearns.

    Attributes:
        blocks: how many of the backbone's last blocks are reset, besides the head.
    """

    epochs: int = 5
    warmup_epochs: int = 0
    blocks: int = 1

    HEAD_ALONE: ClassVar = False
    SPACE: ClassVar = {
        "lr": ("log", 1e-4, 0.2), "shift": ("choice", (0, 2)), "blocks": ("choice", (0, 1, 2)),
    }  # fmt: skip


def eu_k(original, data, split, config, *, weights, sampling, seed):
    retain = retain_sampler(data, split, config, weights, sampling)
    start = copy.deepcopy(original).cpu()  # where the seed decides; a GPU draws from a generator of its own
    kept = reset_last(start, config.blocks, seed)
    with Training(start, data, config, seed) as training:
        for module in layers_of(training.model.backbone)[:kept]:
            for weight in module.parameters(recurse=False):
                weight.requires_grad_(False)
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
        for epoch in range(config.epochs):
            for batch in training.batches(epoch, retain):
                training.step(F.cross_entropy(training.logits(batch), batch.y))
            training.end_epoch(epoch)
    return training.finish()


def layers_of(backbone: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the modules that hold weights or statistics of their own, in the order of their registration."""
    return [module for module in backbone.modules() if module._parameters or module._buffers]


def reset_last(model: Classifier, n_blocks: int, seed: int) -> int:
    """Give the head and the last blocks of the backbone new initial weights, in place.

    Returns:
        how many layers of the backbone are kept.

    A block is a child of the backbone (a Sequential) that has parameters, or one of the modules that
    `backbone.blocks` names; what follows the last block goes with it.
    """
    backbone = model.backbone
    if hasattr(backbone, "blocks"):
        blocks = [backbone.get_submodule(name) for name in backbone.blocks]
    elif isinstance(backbone, torch.nn.Sequential):
        blocks = [child for child in backbone if any(True for _ in child.parameters())]
    else:
        raise InputError(
            "eu_k needs a backbone that is a Sequential of blocks, not "
            f"{type(backbone).__name__}, or that names its `blocks`"
        )
    if not 0 <= n_blocks <= len(blocks):
        raise InputError(
            f"blocks {n_blocks} is not a number from 0 to {len(blocks)}, "
            "which is how many blocks this backbone has"
        )
    layers = layers_of(backbone)
    kept = layers.index(layers_of(blocks[-n_blocks])[0]) if n_blocks else len(layers)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_stream(seed, "reset").initial_seed())
        for module in (*layers[kept:], *model.head.modules()):
            # attention has the same method, with an underscore
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if reset:
                reset()
            elif any(True for _ in module.parameters(recurse=False)):
                raise InputError(f"{type(module).__name__} cannot be reset: it has no reset_parameters")
    return kept
