"""SCRUB (Kurmanji et al., 2023, *Towards unbounded machine unlearning*): leave the teacher on F, stay with it
on R.

The teacher is the original model. Its outputs are computed once, on the images as they are; where images with
a view are augmented, on each batch.

A student that equals its teacher has a divergence of zero, without a gradient. SGD makes no step there. AdamW
divides what is left, which is rounding, by its own size: its first step has full length in a direction that
differs from machine to machine.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..errors import InputError
from ..train import Original, TrainConfig, Training
from .finetune import forget_sampler, retain_sampler


@dataclass(frozen=True)
class SCRUBConfig(TrainConfig):
    """How SCRUB unlearns.

    Attributes:
        forget_epochs: epochs that begin with a pass of ascent on F.
        forget_batch_size: samples of a step of that pass.
        kl_weight: of the divergence in the pass on R.
        ce_weight: of the cross-entropy in it.
        temperature: of both divergences.
    """

    epochs: int = 5
    lr: float = 0.01
    warmup_epochs: int = 0
    forget_epochs: int = 2
    forget_batch_size: int = 64
    kl_weight: float = 0.001
    ce_weight: float = 0.99
    temperature: float = 4.0

    SPACE: ClassVar = {
        "lr": ("log", 1e-4, 0.2), "shift": ("choice", (0, 2)), "forget_epochs": ("choice", (1, 2, 3, 4)),
        "forget_batch_size": ("choice", (16, 32, 64, 128)), "kl_weight": ("log", 1e-3, 1.0),
        "ce_weight": ("log", 0.1, 1.0), "temperature": ("log", 1.0, 8.0),
    }  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        if self.temperature == 0:
            raise InputError("temperature 0.0 is not a number above 0")


def scrub(original, data, split, config, *, weights, sampling, seed):
    retain = retain_sampler(data, split, config, weights, sampling)
    forget = forget_sampler(data, split, config)
    with Training(original, data, config, seed) as training:
        teacher = Original(training, "logits")
        for epoch in range(config.epochs):
            if epoch < config.forget_epochs:
                for batch in training.batches(epoch, forget, main=False):
                    training.step(-distillation(training.logits(batch), teacher(batch), config.temperature))
            for batch in training.batches(epoch, retain):
                logits = training.logits(batch)
                near = distillation(logits, teacher(batch), config.temperature)
                training.step(config.kl_weight * near + config.ce_weight * F.cross_entropy(logits, batch.y))
            training.end_epoch(epoch)
    return training.finish()


def distillation(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return T^2 KL(teacher || student) of logits (B, Y) at temperature T > 0, mean over the batch; nats
    (Hinton et al., 2015).
    """
    student, teacher = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)
