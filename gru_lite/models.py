"""Models are a Classifier: a backbone that makes features and a linear head that reads them. No hooks anywhere."""

import json
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from .errors import InputError, check_choice
from .seeding import torch_stream


class Classifier(nn.Module):
    """A backbone and a linear head.

    `features(x)` maps inputs to (B, D), `head(z)` maps features to logits (B, Y), `model(x)` does both. Images come as
    float32 (B, C, H, W) in [-1, 1], see `gru_lite.batches`. Wrap a model of your own as Classifier(backbone, head).
    """

    def __init__(self, backbone, head, architecture=None):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.architecture = architecture  # what build_model was given, so that a saved model can be built again

    def features(self, x):
        return self.backbone(x)

    def forward(self, x):
        return self.head(self.features(x))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., 2016)."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


def _small_resnet(n_classes):
    """77,522 parameters for two classes: stride-2 stem of 16, blocks of 16, 32 and 64, 64 features."""
    stem = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = [BasicBlock(16, 16, 1), BasicBlock(16, 32, 2), BasicBlock(32, 64, 2)]
    backbone = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return backbone, nn.Linear(64, n_classes)


def _mlp(n_classes, n_features):
    """For data sets of features: one hidden layer of 64."""
    return nn.Sequential(nn.Linear(n_features, 64), nn.ReLU()), nn.Linear(64, n_classes)


ARCHITECTURES = {"small_resnet": _small_resnet, "mlp": _mlp}


def build_model(name, n_classes, seed=0, **options):
    """Build a Classifier with initial weights that depend on `seed` alone.

    Args:
        name: "small_resnet" (images), or "mlp" (features; option n_features).
        n_classes: Y.
        seed: integer >= 0. The global random state of torch is left as it was.
    """
    check_choice(name, ARCHITECTURES, "model")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_stream(seed, "initial weights").initial_seed())  # not the GPUs'
        backbone, head = ARCHITECTURES[name](n_classes, **options)
    architecture = {"name": name, "n_classes": int(n_classes), **options}
    return Classifier(backbone, head, architecture).to(memory_format=torch.channels_last)


def save(model, path):
    """Write a model that build_model made to a safetensors file; the file appears whole or not at all."""
    if model.architecture is None:
        raise InputError("this model was not made by build_model: save its state_dict yourself")
    write_tensors(path, model.state_dict(), {"architecture": json.dumps(model.architecture)})


def load_model(path):
    """Read a model that `save` wrote, in eval mode. Nothing is unpickled.

    Raises:
        InputError: a file that is missing, truncated, or not a model of this package.
    """
    tensors, metadata = read_tensors(path)
    if "architecture" not in metadata:
        raise InputError(f"{path} is not a model saved by gru_lite: it does not say its architecture")
    try:
        model = build_model(**json.loads(metadata["architecture"]))
        model.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not fit its architecture: {str(error).splitlines()[-1].strip()}") from None
    return model.eval()


def write_tensors(path, tensors, metadata):
    """Write named tensors and text metadata to a safetensors file, atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path):
    """Return (tensors, metadata) of a safetensors file, or raise InputError naming it."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        raise InputError(f"{path} is truncated or not a safetensors file: delete it, and what it held is made again") from None
