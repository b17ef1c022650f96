"""SalUn (Fan et al., 2024, *SalUn: empowering machine unlearning via gradient-based weight saliency*).

Only the weights to which the loss of F is most sensitive may move: they are trained on random labels of F, and on R.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..errors import InputError, check_choice
from ..seeding import torch_stream
from ..train import Sampler, TrainConfig, Training
from .finetune import retain_sampler


@dataclass(frozen=True)
class SalUnConfig(TrainConfig):
    """How SalUn unlearns.

    Attributes:
        share: of all weights that may move, those with the largest absolute gradient.
        forget_batch_size: of the pass over F, which begins every epoch.
        masked: the weights outside the mask keep the original's values exactly ("restored"); or only their gradients are
            masked, and weight decay, carried by momentum, still moves them ("moving", released).
        statistics: BatchNorm's stay the original's ("held"), or are "moving" (released), and with them what every weight
            behind them computes.
        as_released: set both to the released behaviour.
    """

    epochs: int = 5
    warmup_epochs: int = 0
    lr: float = 0.01
    forget_batch_size: int = 64
    share: float = 0.5
    masked: str = "restored"
    statistics: str = "held"
    as_released: bool = False

    SPACE: ClassVar = {"lr": ("log", 0.002, 0.1), "shift": ("choice", (0, 2)), "forget_batch_size": ("choice", (16, 32, 64, 128)),
                       "statistics": ("choice", ("held", "moving"))}

    def __post_init__(self):
        super().__post_init__()
        if self.as_released:
            object.__setattr__(self, "masked", "moving")
            object.__setattr__(self, "statistics", "moving")
        check_choice(self.masked, ("restored", "moving"), "masked")
        check_choice(self.statistics, ("held", "moving"), "statistics")
        if not 0 < self.share <= 1:
            raise InputError(f"share {self.share} is outside (0, 1]: give the share of the weights that may move")


def salun(original, data, split, config, *, weights, sampling, seed, val=None):
    retain = retain_sampler(data, split, config, weights, sampling)
    forget = Sampler(data, split.forget, config.forget_batch_size, name="forget")
    with Training(original, data, config, seed, hold_statistics=config.statistics == "held") as training:
        model, mask = training.model, saliency_mask(training, split.forget, config.share)
        before = [weight.detach().clone() for weight in model.parameters()]
        labels = torch_stream(seed, "random labels")

        def masked_step(loss):
            training.step(loss, gradients=lambda: [weight.grad.mul_(m) for weight, m in zip(model.parameters(), mask)])
            if config.masked == "restored":
                with torch.no_grad():
                    for weight, m, old in zip(model.parameters(), mask, before):
                        weight.copy_(torch.where(m, weight, old))

        for epoch in range(config.epochs):
            drawn = torch.randint(data.n_targets, (forget.steps * forget.batch_size,), generator=labels)
            random = iter(drawn.to(training.device).split(forget.batch_size))  # the whole pass at once: no wait per step
            for batch in training.batches(epoch, forget, main=False):
                masked_step(F.cross_entropy(training.logits(batch.x), next(random)))
            for batch in training.batches(epoch, retain):
                masked_step(F.cross_entropy(training.logits(batch.x), batch.y))
            training.end_epoch(epoch)
    return training.finish()


def saliency_mask(training, forget, share):
    """Return a boolean tensor for each parameter: True for the `share` of all weights with the largest summed gradient on F.

    In eval mode, on the images as they are; exactly round(share * number of weights) are True.
    """
    model = training.model
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    model.zero_grad()
    at_once = training.data.pass_size if training.data.is_small else training.config.forget_batch_size  # a step's memory suffices
    for index in torch.from_numpy(forget).to(training.device).split(at_once):
        x, y = training.data.take(index)
        F.cross_entropy(training.logits(x, whole=True), y, reduction="sum").backward()
    size = torch.cat([weight.grad.abs().flatten() for weight in model.parameters()])
    chosen = torch.zeros_like(size, dtype=torch.bool)
    chosen[size.topk(round(share * len(size))).indices] = True
    model.zero_grad()
    for module, mode in modes:
        module.training = mode
    return [part.view_as(weight) for part, weight in zip(chosen.split([w.numel() for w in model.parameters()]), model.parameters())]
