"""MIU, Mutual Information-aware Machine Unlearning (paper, section 4): make features forget the group, as
far as the original knew it.

Two critics estimate I(Z; G) between the features Z and the group G: phi those of the model that unlearns,
phi_0 those of the original. An epoch tunes phi, then lowers its estimate on F, then trains on R with
REWEIGHT, where the penalty lambda * (I_phi - I_phi0)^2 holds the dependence on the group where the original
had it.

The defaults are a corrected reading; `MIUConfig.released()` has the values of the authors' release (as of
2025), which MIUConfig.RELEASED lists beside MIUConfig.CORRECTED. With `--preset paper` a model of images is
also scored in bfloat16, as the release does; that alone moves the attack by points. What cannot be had: the
release's random numbers, timm's weights of ResNet-18 as a start, and the bytes of a GPU's sums.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from ..data.dataset import GroupedDataset
from ..errors import InputError, check_choice
from ..groups import of_forgotten_groups
from ..information import Critic, MovingAverage, exact_terms, sampled_terms
from ..models import Classifier
from ..seeding import further_seed, torch_stream
from ..train import Original, Sampler, Training
from ..train.config import ReleasedConfig
from ..train.device import device_data, to_device
from ..train.prediction import evaluating, outputs
from .finetune import forget_sampler, retain_sampler


@dataclass(frozen=True)
class MIUConfig(ReleasedConfig):
    """How MIU unlearns. Fields given as None are corrected, or as released with as_released=True.

    Attributes:
        forget_epochs: epochs that begin with a pass over F; 0 leaves forgetting out.
        forget_batch_size: samples of a step of that pass, 32 (released: batch_size).
        lambda_mi: weight of the calibration term; 0 leaves it out.
        ce_weight: weight of the cross-entropy on R; 0 leaves it out.
        critic_lr: learning rate of the critics (SGD, momentum 0.9).
        first_steps: steps by which phi is tuned in the first epoch (released: 101).
        later_steps: and in each later one (released: 11).
        marginal: "exact" sums over the groups by their share of D; "uniform" draws one group at random
            (released).
        clip: the gradient of a mutual information with respect to the features is at most as long as that of
            the cross-entropy on R (released: False, no clipping takes effect).
        phi0_features: phi_0 is fitted once, on features of the "original"; or tuned along with phi, on those
            of the "unlearned" model (released).
        original_mode: the original's features in "eval" mode, computed once where no augmentation of images
            with a view changes them; or in "train" mode, with the statistics of each batch (released).
        statistics: BatchNorm's are "held" while critics are tuned, or "moving" (released).
        average: MINE's moving average corrects steps of the "critic" alone, or is "shared" by all steps
            (released).
        arithmetic: the moving average is kept as a "log", or as it is, "linear", which overflows (released).
        critic_augment: critics are tuned on random crops whatever `augment` says (released: True); it is for
            images with a view, and for features of the unlearned model.
        loss_precision: of the head and the cross-entropy (released: "bfloat16").
        precision: of the backbone (released: "bfloat16"; of BERT "float32", as loss_precision, with
            original_mode "eval").
        lr_changes: with every "step", or "epoch" (released).
        ragged: as in TrainConfig (released: True).
        as_released: only when it is made: True takes the released value of each of these. A value given
            beside it that contradicts them is an error.
    """

    epochs: int = 5
    warmup_epochs: int = 0
    forget_epochs: int = 3
    forget_batch_size: int | None = None
    lambda_mi: float = 1.0
    ce_weight: float = 1.0
    critic_lr: float = 0.01
    first_steps: int | None = None
    later_steps: int | None = None
    marginal: str | None = None
    clip: bool | None = None
    phi0_features: str | None = None
    original_mode: str | None = None
    statistics: str | None = None
    average: str | None = None
    arithmetic: str | None = None
    critic_augment: bool | None = None
    loss_precision: str | None = None
    precision: str | None = None
    lr_changes: str | None = None
    ragged: bool | None = None
    as_released: InitVar[bool | None] = None

    CORRECTED: ClassVar = {
        "first_steps": 100, "later_steps": 10, "marginal": "exact", "clip": True, "phi0_features": "original",
        "original_mode": "eval", "statistics": "held", "average": "critic", "arithmetic": "log",
        "critic_augment": False, "loss_precision": "float32", "precision": "float32", "lr_changes": "step",
        "ragged": False,
    }  # fmt: skip
    RELEASED: ClassVar = {
        "first_steps": 101, "later_steps": 11, "marginal": "uniform", "clip": False,
        "phi0_features": "unlearned", "original_mode": "train", "statistics": "moving", "average": "shared",
        "arithmetic": "linear", "critic_augment": True, "loss_precision": "bfloat16", "precision": "bfloat16",
        "lr_changes": "epoch", "ragged": True,
    }  # fmt: skip
    VARIANTS: ClassVar = {
        "released": RELEASED, "no_forgetting": {"forget_epochs": 0}, "no_calibration": {"lambda_mi": 0.0},
        "no_ce": {"ce_weight": 0.0},
    }  # fmt: skip
    HEAD_ALONE: ClassVar = False
    SPACE: ClassVar = {
        "lr": ("log", 1e-4, 0.2), "shift": ("choice", (0, 2)), "forget_epochs": ("choice", (1, 2, 3, 4)),
        "forget_batch_size": ("choice", (16, 32, 64, 128)), "lambda_mi": ("log", 0.01, 10.0),
        "clip": ("choice", (True, False)),
    }  # fmt: skip

    def __post_init__(self, as_released):
        super().__post_init__(as_released)
        for name, choices in (
            ("phi0_features", ("original", "unlearned")),
            ("original_mode", ("eval", "train")),
            ("statistics", ("held", "moving")),
            ("marginal", ("exact", "uniform")),
            ("average", ("critic", "shared")),
            ("arithmetic", ("log", "linear")),
            ("loss_precision", ("float32", "bfloat16")),
        ):
            check_choice(getattr(self, name), choices, name)


def miu(
    original,
    data,
    split,
    config,
    *,
    weights,
    sampling,
    seed,
    watch: Callable | None = None,
    unseen: GroupedDataset | None = None,
):
    """Run MIU.

    `watch(epoch, model, phi, phi_0)`, when given, is called after every epoch, for curves. With samples that
    were not trained on, `unseen`, the pass over F does not lower the score of F without end: it aims at the
    score of the unseen samples of the same groups, both as in evaluation.
    """
    if not any(True for _ in original.backbone.parameters()):
        raise InputError("miu changes the features of a model, and this one has a head alone: take another")
    retain = retain_sampler(data, split, config, weights, sampling)
    forget = forget_sampler(data, split, config)
    with Training(original, data, config, seed) as training:
        theta_0 = Original(training, "features", keep=config.original_mode == "train")
        group = torch.from_numpy(data.group).to(training.device)
        others = Others(config, split, seed)
        phi, phi_0 = (TrainedCritic(name, training, split, config, seed) for name in ("phi", "phi_0"))
        aim = Aim(unseen, split, training, others) if unseen is not None else None
        # Of the cross-entropy's gradient: the limit of the others.
        length = cross_entropy_length(training, theta_0, retain)

        for epoch in range(config.epochs):
            tune_critics(epoch, training, theta_0, phi, phi_0, group, others, config)

            if epoch < config.forget_epochs:
                for batch in training.batches(epoch, forget, main=False):
                    with contextlib.nullcontext() if aim is None else evaluating(training.model):
                        z, _ = training.forward(batch)
                    g = group[batch.index]
                    information = phi.estimate(z, g, others(g))
                    if aim is not None:
                        information = (information - aim(phi)) ** 2
                    training.step(clipped(information, z, length, config))

            for batch in training.batches(epoch, retain):
                z, logits = training.forward(batch)
                if config.loss_precision == "bfloat16":
                    logits = F.linear(*(part.bfloat16() for part in (z, *training.model.head.parameters())))
                ce = F.cross_entropy(logits, batch.y).float()
                g = group[batch.index]
                other = others(g)  # the same for both critics: their difference has one noise, not two
                of_original = phi_0.estimate(theta_0(batch, config.original_mode), g, other).detach()
                drift = phi.estimate(z, g, other) - of_original
                length = gradient_length(ce, z)
                training.step(config.ce_weight * ce + clipped(config.lambda_mi * drift**2, z, length, config))

            training.end_epoch(epoch)
            if watch is not None:
                watch(epoch, training.model, phi, phi_0)
    return training.finish()


def gradient_length(value: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Return the length of the gradient of a scalar with respect to features.

    Args:
        value: scalar.
        z: (B, D) features; the gradient stops there, so this is no pass through the model.
    """
    return torch.autograd.grad(value, z, retain_graph=True)[0].norm()


def clipped(value: torch.Tensor, z: torch.Tensor, limit: torch.Tensor, config: MIUConfig) -> torch.Tensor:
    """Return `value`, scaled down where its gradient with respect to z would be longer than `limit`."""
    if not config.clip:
        return value
    return value * (limit / gradient_length(value, z).clamp_min(1e-12)).clamp_max(1.0)


def tune_critics(epoch, training, theta_0, phi, phi_0, group, others, config):
    """Tune phi on features of the unlearned model, over batches of all of D; fit phi_0 once, on those of the
    original.

    Features are detached: only the critics learn here.
    """
    steps, most = config.first_steps, max(config.first_steps, config.later_steps)
    if epoch:
        steps = config.later_steps
    sampler = Sampler(
        training.dataset, None, config.batch_size, steps=most, ragged=config.ragged, name="critic"
    )
    augment = training.augmented or (config.critic_augment and training.data.augments)
    for batch in training.draw(epoch, sampler, main=False, steps=steps, augment=augment):
        g, z_0 = group[batch.index], theta_0(batch) if epoch == 0 else None
        other = others(g)
        same = epoch == 0 and config.statistics == "held" and augment == training.augmented
        z = z_0 if same else _detached(training, batch, config)
        phi.tune(z, g, other)
        if config.phi0_features == "unlearned":
            phi_0.tune(z, g, other)
        elif epoch == 0:
            phi_0.tune(z_0, g, other)
    for critic in (phi, phi_0):
        critic.check(epoch, training)


@torch.no_grad()
def _detached(training, batch, config):
    """Features of the unlearned model on a batch for its critic."""
    if config.statistics == "held":
        training.model.eval()
    z, _ = training.forward(batch)
    training.model.train()
    return z


def cross_entropy_length(training, theta_0, retain):
    """Length of the gradient of the cross-entropy before the first step, on the first batch of R."""
    batch = next(training.draw(0, retain, steps=1))
    z = theta_0(batch).requires_grad_()
    return gradient_length(F.cross_entropy(training.model.head(z).float(), batch.y), z)


class Others:
    """Draws g', one group for each sample, uniformly; nothing where the marginal is exact."""

    def __init__(self, config, split, seed):
        self.sampled, self.n_groups = config.marginal == "uniform", len(split.n_train)
        self.draws = torch_stream(seed, "other groups")

    def __call__(self, g):
        if not self.sampled:
            return None
        return to_device(torch.randint(self.n_groups, g.shape, generator=self.draws), g.device)


class Aim:
    """What a critic reads of the unseen samples of the forgotten groups, in the model as it is."""

    def __init__(self, unseen, split, training, others):
        self.index = np.flatnonzero(of_forgotten_groups(split, unseen))
        if not len(self.index):
            raise InputError(f"unseen has no sample of the forgotten groups {list(split.groups)}")
        self.data = device_data(unseen, training.device)
        self.group = torch.from_numpy(unseen.group[self.index]).to(training.device)
        self.model, self.others = training.model, others

    @torch.no_grad()
    def __call__(self, phi):
        z = outputs(self.model, Classifier.features, self.data, self.index)
        return phi.estimate(z, self.group, self.others(self.group))


class TrainedCritic:
    """A critic with its optimiser and the law p(g) of the groups it is compared with."""

    def __init__(self, name, training, split, config, seed):
        self.name, self.config = name, config
        device, width = training.device, training.model.head.in_features
        law = torch.from_numpy(split.n_train / split.n_train.sum())
        self.log_prior = law.log().float().to(device)
        self.net = (
            Critic(width, len(law), seed=further_seed(seed, int(name == "phi_0")))
            .to(device)
            .requires_grad_(False)
        )
        self.optimizer = torch.optim.SGD(self.net.parameters(), config.critic_lr, momentum=0.9)
        self.average, self.losses = MovingAverage(linear=config.arithmetic == "linear"), []

    def estimate(self, z, g, other):
        """Return I(Z; G) in nats, a scalar, from (B, D) features, which get its gradient, and (B,) groups."""
        joint, log_marginal = self._terms(z, g, other)
        if self.config.average == "shared":
            return -self.average.loss(joint, log_marginal)
        return joint - log_marginal

    def tune(self, z, g, other):
        """One step of the critic alone.

        The model's features are data to it, and its weights are fixed everywhere else.
        """
        self.net.requires_grad_(True)
        loss = self.average.loss(*self._terms(z.detach(), g, other))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.net.requires_grad_(False)
        self.losses.append(loss.detach())

    def check(self, epoch, training):
        """Raise DivergedError, with the last good model, when a step was not finite."""
        if not self.losses:
            return
        losses, self.losses = torch.stack(self.losses).cpu(), []
        sound = torch.isfinite(losses)
        if not sound.all():
            step = int(sound.int().argmin())
            training.diverged(
                f"the critic {self.name} diverged in epoch {epoch + 1}, step {step + 1} of {len(losses)}: "
                f"its loss is {losses[step].item():.4g}; lower critic_lr ({self.config.critic_lr})"
            )

    def _terms(self, z, g, other):
        if other is None:
            return exact_terms(self.net.table(z), g, self.log_prior)
        return sampled_terms(self.net(z, g), self.net(z, other))
