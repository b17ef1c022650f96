"""Where batches come from: which samples a pass over the data draws, by seed and epoch alone."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch

from ..data.dataset import GroupedDataset
from ..errors import InputError, check_choice
from ..groups import SAMPLING, draw_pass, pass_length
from ..seeding import stream


class Sampler:
    """Samples of a data set, and how a pass over them is drawn.

    Args:
        dataset: GroupedDataset.
        indices: (n,) samples, or None for all.
        batch_size: samples of a step; n at most.
        weights: (n,) REWEIGHT weights of those samples, or None to visit each once per pass.
        sampling: "replacement" or "top_up" with weights, "none" without (see `gru_lite.groups.draw_pass`);
            None is "replacement" with weights and "none" without.
        steps: batches of an epoch; None for ceil(draws / batch_size). A Fraction is what epochs have on
            average: the first has its ceiling.
        ragged: every pass is cut by itself, and its last batch has the samples that are left.
        name: of the random stream, so that the draws of one sampler do not depend on those of another.

    Raises:
        InputError: weights or indices that do not fit the data, or weights and sampling that contradict each
            other.
    """

    def __init__(
        self,
        dataset: GroupedDataset,
        indices: np.ndarray | None = None,
        batch_size: int = 64,
        weights: np.ndarray | None = None,
        sampling: str | None = None,
        steps: int | Fraction | None = None,
        ragged: bool = False,
        name: str = "order",
    ):
        sampling = sampling or ("none" if weights is None else "replacement")
        check_choice(sampling, SAMPLING, "sampling")
        if (sampling == "none") != (weights is None):
            given = "weights=None" if weights is None else "weights"
            raise InputError(
                f"sampling={sampling!r} and {given} contradict "
                "each other: replacement and top_up draw by weights"
            )
        index = np.arange(len(dataset)) if indices is None else np.asarray(indices)
        whole = len(index) > 0 and np.issubdtype(index.dtype, np.integer)
        if not whole or index.min() < 0 or index.max() >= len(dataset):
            last = len(dataset) - 1
            raise InputError(
                f"indices must be whole numbers from 0 to {last}, the samples of the data set, at least one"
            )
        self.index = index.astype(np.int64)
        if weights is not None:
            weights = np.asarray(weights, dtype=np.float64)
            finite = weights.shape == index.shape and np.isfinite(weights).all()
            if not (finite and (weights >= 0).all() and weights.any()):
                raise InputError(
                    f"weights must be {len(index)} finite numbers of "
                    "0 or more, not all of them 0: one for each sample"
                )
        self.weights, self.sampling, self.name = weights, sampling, name
        self.group = dataset.group[index]
        self.length = pass_length(len(index), weights, self.group, sampling)
        self.batch_size = min(batch_size, self.length)
        self.per_pass = math.ceil(self.length / self.batch_size)
        self.steps, self.ragged = self.per_pass if steps is None else steps, ragged

    def before(self, epoch: int) -> int:
        """Return how many batches the epochs before this one have."""
        return math.ceil(epoch * self.steps)

    def sizes(self, epoch: int) -> list[int]:
        """Return the number of samples of each batch of an epoch."""
        sizes = [self.batch_size] * (self.before(epoch + 1) - self.before(epoch))
        if self.ragged:
            last = slice(self.per_pass - 1, None, self.per_pass)
            sizes[last] = [self.length - (self.per_pass - 1) * self.batch_size] * len(sizes[last])
        return sizes

    def draw(self, epoch: int, seed: int) -> np.ndarray:
        """Return the samples of one epoch: int64 (sum of sizes,), a function of seed and epoch alone.

        Full batches are cut from one endless sequence of passes: no ragged batch upsets BatchNorm, and any
        step can be recomputed from its number. With ragged batches an epoch begins a new pass.
        """
        count, start = sum(self.sizes(epoch)), self.before(epoch) * self.batch_size
        if self.ragged:
            start = epoch * math.ceil(self.steps / self.per_pass) * self.length
        if not count:
            return self.index[:0]
        first, last = start // self.length, (start + count - 1) // self.length
        passes = [
            draw_pass(stream(seed, self.name, p), len(self.index), self.weights, self.group, self.sampling)
            for p in range(first, last + 1)
        ]
        return self.index[np.concatenate(passes)[start - first * self.length :][:count]]


class Batch(NamedTuple):
    """A batch on the device.

    Attributes:
        x: inputs, float32 images (B, C, H, W) or features (B, D), or int32 tokens (B, 3, L). Of several
            processes, each has its own part of them.
        y: int64 (B,) targets, in every process all of them.
        index: int64 (B,) which samples of the data set they are, likewise.
        whole: each of several processes has all of x, and computes all of it.
    """

    x: torch.Tensor
    y: torch.Tensor
    index: torch.Tensor
    whole: bool = False
