"""Checkpoints: a training is continued where it was, and by nothing but itself."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ..data.dataset import GroupedDataset
from ..errors import InputError
from ..models import Classifier, read_tensors, write_tensors
from .config import TrainConfig
from .sampling import Sampler
from .training import Training


def fingerprint(
    model: Classifier,
    dataset: GroupedDataset,
    sampler: Sampler,
    seed: int,
    config: TrainConfig,
    keep_best: GroupedDataset | None = None,
) -> str:
    """Return a digest of everything that a training's result depends on."""
    how = [asdict(config), sampler.sampling, int(seed), float(sampler.steps)]
    digest = hashlib.sha256(json.dumps(how).encode())
    for data in (dataset, keep_best) if keep_best is not None else (dataset,):
        # Of a data set on disk, which can have many gigabytes, a thousand samples stand for all.
        inputs = (
            data.inputs
            if data.view is None and data.tokens is None
            else data.inputs[:: -(-len(data) // 1000)]
        )
        for array in (inputs, data.target, data.group, data.aspect):
            digest.update(np.ascontiguousarray(array if array is not None else np.empty(0)))
        if data.view is not None:
            digest.update(json.dumps([data.view, data.inputs.shape]).encode())
    for array in (sampler.index, sampler.weights):
        digest.update(np.ascontiguousarray(array if array is not None else np.empty(0)))
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_checkpoint(
    path: str | Path, mark: str, training: Training, epoch: int, best: tuple[float, dict]
) -> None:
    """Write where a training is, atomically.

    Args:
        path: file.
        mark: its fingerprint.
        training: Training.
        epoch: epochs that are done.
        best: (accuracy, state) of the epoch that is kept so far.
    """
    tensors = {f"model.{name}": tensor for name, tensor in training.model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best[1].items()}
    for i, state in training.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items() if tensor is not None}
    about = {"fingerprint": mark, "epoch": str(epoch), "seconds": repr(training.seconds)}
    about |= {"best": repr(best[0]), "scaler": json.dumps(training.scaler.state_dict())}
    write_tensors(path, tensors, about)


def resume(path: str | Path, mark: str, training: Training) -> tuple[int, float, tuple[float, dict]]:
    """Put a training where its checkpoint is; return (epochs done, seconds, best), as they were written.

    Raises:
        InputError: a checkpoint of another training, or a damaged one.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("fingerprint") != mark:
        raise InputError(f"{path} is a checkpoint of another training: delete it, or name another file")

    def of(what):
        return {name.removeprefix(what): tensor for name, tensor in tensors.items() if name.startswith(what)}

    training.model.load_state_dict(of("model."))
    training.last_good = copy.deepcopy(training.model.state_dict())
    weights = list(training.model.parameters())
    for name, tensor in of("optimizer.").items():
        number, key = name.split(".", 1)
        weight = weights[int(number)]
        if key == "step":  # of AdamW: beside the weights where the optimiser is fused
            kept = tensor.to(weight.device if training.on_gpu else "cpu")
        else:  # laid out like its weight, channels_last included: fused optimisers need both alike
            kept = torch.empty_like(weight).copy_(tensor)
        training.optimizer.state[weight][key] = kept
    if training.scaler.is_enabled():
        training.scaler.load_state_dict(json.loads(metadata["scaler"]))
    return int(metadata["epoch"]), float(metadata["seconds"]), (float(metadata["best"]), of("best."))
