"""fit(): cross-entropy, epoch by epoch, with a checkpoint and a best epoch where they are asked for."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from ..data.dataset import GroupedDataset
from ..models import Classifier
from .checkpoint import fingerprint, resume, write_checkpoint
from .config import TrainConfig
from .parallel import broadcast, is_main
from .prediction import predict
from .sampling import Sampler
from .training import Training


def fit(
    model: Classifier,
    dataset: GroupedDataset,
    *,
    config: TrainConfig | None = None,
    indices: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    sampling: str | None = None,
    seed: int = 0,
    steps_per_epoch: int | Fraction | None = None,
    device: torch.device | str | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | str = False,
    keep_best: GroupedDataset | None = None,
) -> Classifier:
    """Train a copy of `model` by cross-entropy and return it in eval mode; what goes in is never changed.

    Args:
        model: a Classifier, where training starts.
        dataset: GroupedDataset.
        config: TrainConfig, or None for the defaults.
        indices: (n,) samples to train on, or None for all.
        weights: (n,) REWEIGHT weights of those samples, or None to visit each once per pass.
        sampling: with weights, "replacement" (None, too) or "top_up" (see `gru_lite.groups.draw_pass`).
        seed: integer >= 0, the stream of training: order, draws and shifts.
        steps_per_epoch: optimiser steps of an epoch, to compare trainings at equal steps; None for ceil(draws
            / batch). config.steps limits them further.
        device: torch device; None takes the GPU when there is one.
        checkpoint: file that is written after each epoch and, when it exists, continued from: the result is
            bit-identical to an uninterrupted training on the same CPU. From that of a finished training it
            returns at once. On a GPU, sums of a step are added in no fixed order, and results agree to
            rounding.
        progress: True for a progress bar, or its label.
        keep_best: validation set; the model of the epoch with the highest accuracy on it is returned, of
            equal ones the first. None: the last epoch.

    Raises:
        InputError: weights or indices that do not fit the data, or a checkpoint of another training.
        DivergedError: the loss is no longer finite; says when, and what to lower.
    """
    config = config or TrainConfig()
    sampler = Sampler(dataset, indices, config.batch_size, weights, sampling, steps_per_epoch, config.ragged)
    sampler.steps, _ = config.limited(sampler.steps)
    training = Training(model, dataset, config, seed, device)
    first_epoch, best = 0, (-1.0, {})  # best: accuracy and state of the epoch that is kept
    if checkpoint is not None:
        mark = fingerprint(model, dataset, sampler, seed, config, keep_best)
        if Path(checkpoint).exists():
            first_epoch, training.seconds_before, best = resume(checkpoint, mark, training)
    with training:
        epochs = range(first_epoch, config.epochs)
        label = progress if isinstance(progress, str) else "training"
        # Given only when it is off: TQDM_DISABLE counts where nothing is given.
        quiet = {} if progress and is_main() else {"disable": True}
        for epoch in tqdm(epochs, label, unit="epoch", initial=first_epoch, total=config.epochs, **quiet):
            for batch in training.batches(epoch, sampler):
                training.step(F.cross_entropy(training.logits(batch), batch.y))
            training.end_epoch(epoch)
            if keep_best is not None:
                # One process decides: the sums of several may differ in their last bit.
                logits = predict(training.model, keep_best, device=training.device)
                accuracy = broadcast(float((logits.argmax(1) == keep_best.target).mean()))
                now = accuracy, copy.deepcopy(training.model.state_dict())
                best = max(best, now, key=lambda kept: kept[0])
            if checkpoint is not None and is_main():
                write_checkpoint(checkpoint, mark, training, epoch + 1, best)
    if keep_best is not None:
        training.model.load_state_dict(best[1])
    return training.finish()
