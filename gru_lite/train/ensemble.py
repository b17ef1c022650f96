"""Many small trainings at once: `fit_many` walks the steps of all models together, with torch.func.

A step of a small network is mostly waiting for Python. One step of 64 stacked networks is one call instead of
64, and each of them learns what `fit` would have taught it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, stack_module_state, vmap

from ..data.dataset import GroupedDataset
from ..errors import DivergedError, InputError
from ..models import Classifier
from .config import TrainConfig
from .prediction import cpu_threads
from .sampling import Sampler


def fit_many(
    models: Sequence[Classifier],
    dataset: GroupedDataset,
    *,
    indices: Sequence[np.ndarray],
    seeds: Sequence[int],
    weights: Sequence[np.ndarray] | None = None,
    config: TrainConfig | None = None,
) -> list[Classifier]:
    """Train a copy of each model as `fit` does, all at once on the CPU, and return them in eval mode.

    Each model gets the batches, learning rates and steps of `fit(model, dataset, indices=, weights=, seed=)`,
    so the weights are those of `fit`, to rounding. On one CPU thread 64 models of one hidden layer take about
    a fifth of the time.

    Args:
        models: M models alike in everything but their weights, without BatchNorm or dropout.
        dataset: GroupedDataset of features.
        indices: M arrays, the samples of each; all of one length.
        seeds: M integers >= 0.
        weights: M arrays of REWEIGHT weights of those samples, or None.
        config: TrainConfig with SGD, or None for the defaults.

    Raises:
        InputError: no models, images or tokens, models with statistics or dropout, another optimiser,
            lists of other lengths, or models with other numbers of samples.
        DivergedError: a model is no longer finite.
    """
    config, n = config or TrainConfig(), len(models)
    if not n:
        raise InputError("there are no models: give one or more")
    if dataset.features is None:
        raise InputError("fit_many trains on features: take fit for images or tokens")
    if any(isinstance(m, torch.nn.modules.dropout._DropoutNd) or m._buffers for m in models[0].modules()):
        raise InputError("fit_many takes models without BatchNorm or dropout: take fit for this one")
    if config.optimizer != "sgd" or config.precision != "float32" or config.ragged or config.steps:
        raise InputError("fit_many trains with SGD in float32, in full batches and passes: take fit instead")
    given = {"indices": indices, "seeds": seeds, "weights": seeds if weights is None else weights}
    for name, values in given.items():
        if len(values) != n:
            raise InputError(f"there are {len(values)} {name} for {n} models: give one for each")
    if len({len(index) for index in indices}) > 1:
        sizes = sorted({len(index) for index in indices})
        raise InputError(
            f"the models have from {sizes[0]} to {sizes[-1]} samples: fit_many needs equal numbers"
        )
    weights = [None] * n if weights is None else weights
    samplers = [Sampler(dataset, index, config.batch_size, w) for index, w in zip(indices, weights)]
    x, y = torch.from_numpy(dataset.features), torch.from_numpy(dataset.target)
    empty = copy.deepcopy(models[0]).to("meta")

    def loss(theta, x, y):
        return F.cross_entropy(functional_call(empty, theta, (x,)), y)

    with cpu_threads(config.threads), torch.no_grad():
        theta, _ = stack_module_state(list(models))
        theta = {name: weight.detach().clone() for name, weight in theta.items()}
        gradient, stacked = vmap(grad(loss)), list(theta.values())
        momentum = [torch.zeros_like(weight) for weight in stacked]
        for epoch in range(config.epochs):
            draws = np.stack([s.draw(epoch, seed) for s, seed in zip(samplers, seeds, strict=True)])
            for i, index in enumerate(torch.from_numpy(draws).split(samplers[0].batch_size, dim=1)):
                rate = config.lr_at(samplers[0].before(epoch) + i, samplers[0].steps)
                steps = list(gradient(theta, x[index], y[index]).values())
                torch._foreach_add_(steps, stacked, alpha=config.weight_decay)
                torch._foreach_mul_(momentum, config.momentum)
                torch._foreach_add_(momentum, steps)
                torch._foreach_add_(stacked, momentum, alpha=-rate)
        bad = torch.stack([~torch.isfinite(w).flatten(1).all(1) for w in stacked]).any(0).nonzero()
        if len(bad):
            raise DivergedError(f"the training of model {int(bad[0])} diverged: lower lr ({config.lr})")
        trained = [copy.deepcopy(model) for model in models]
        for k, model in enumerate(trained):
            model.load_state_dict({name: weight[k] for name, weight in theta.items()})
    return [model.eval() for model in trained]
