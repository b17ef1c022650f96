"""The only prediction pass: logits or features of every sample in eval mode, which all scores are made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..data.dataset import GroupedDataset
from ..models import Classifier, check_inputs
from .device import DeviceData, default_device, device_data


def predict(
    model: Classifier,
    dataset: GroupedDataset,
    indices: np.ndarray | None = None,
    batch_size: int | None = None,
    threads: int = 1,
    device: torch.device | str | None = None,
    precision: str = "float32",
) -> np.ndarray:
    """Return the logits of every sample, in eval mode and without augmentation: float32 (n, Y).

    The model is left where and as it was. Use it once per data set: every score is a function of these
    arrays.

    Args:
        model: Classifier, on any device.
        dataset: GroupedDataset.
        indices: (n,) samples, or None for all.
        batch_size: samples at a time; None for 1024, or 128 of large images and of tokens.
        threads: CPU threads; sums depend on it, bit by bit.
        device: where it is computed; None takes the GPU when there is one.
        precision: "float32"; or autocast of the whole model, head included, to "bfloat16" or "float16", as
            the authors' release scores models of images.
    """
    device = default_device(device)
    with autocast(device, precision):
        return _of_dataset(model, lambda m, x: m(x), dataset, indices, batch_size, threads, device)


def extract_features(
    model: Classifier,
    dataset: GroupedDataset,
    indices: np.ndarray | None = None,
    batch_size: int | None = None,
    threads: int = 1,
    device: torch.device | str | None = None,
) -> np.ndarray:
    """Return the features of every sample, the input of the linear head, likewise: float32 (n, D)."""
    return _of_dataset(model, lambda m, x: m.features(x), dataset, indices, batch_size, threads, device)


def _of_dataset(model, function, dataset, indices, batch_size, threads, device):
    check_inputs(model, dataset)
    index = np.arange(len(dataset)) if indices is None else np.asarray(indices, dtype=np.int64)
    device = default_device(device)
    if next(model.parameters()).device != device:
        model = copy.deepcopy(model).to(device)
    return outputs(model, function, device_data(dataset, device), index, batch_size, threads).cpu().numpy()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the arithmetic of a precision, as TrainConfig names it, for what is computed inside."""
    half = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=precision != "float32")


@torch.no_grad()
def outputs(
    model: Classifier,
    function: Callable,
    data: DeviceData,
    index: np.ndarray,
    batch_size: int | None = None,
    threads: int = 1,
) -> torch.Tensor:
    """Return what `function(model, x)` makes of the int64 (n,) samples `index`: float32 (n, .).

    The model is on the device of `data`, and so is the result; its mode is eval here, and then as it was.
    With batch_size None, `data.pass_size` samples are taken at a time.
    """
    with evaluating(model), cpu_threads(threads):
        batches = data.stream(index, batch_size or data.pass_size)
        return torch.cat([function(model, x).float() for x in batches])


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into eval mode inside, and every module of it back into its own mode after."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def cpu_threads(n: int) -> Iterator[None]:
    """Let torch use n CPU threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
