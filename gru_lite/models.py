"""Models are a Classifier: a backbone makes features, and a linear head reads them. No hooks anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from .data.dataset import GroupedDataset
from .errors import InputError, check_choice
from .files import whole
from .seeding import torch_stream


class Classifier(nn.Module):
    """A backbone and a linear head. Wrap a model of your own as Classifier(backbone, head).

    Args:
        backbone: maps inputs to features float32 (B, D). Images come as float32 (B, C, H, W) in [-1, 1].
        head: maps features to logits (B, Y).
        architecture: what build_model was given, so that a saved model can be built again.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear, architecture: dict | None = None):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.architecture = architecture

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D) of a batch of inputs."""
        return self.backbone(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, Y) of a batch of inputs."""
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
            convolution = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(n_out))

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


def _linear(n_classes, n_features):
    """For data sets of features: the head alone, as a probe of frozen features."""
    return nn.Identity(), nn.Linear(n_features, n_classes)


def _resnet18(n_classes, weights):
    """He et al. (2016), for images of any size; weights of torchvision, or none."""
    import torchvision

    net = torchvision.models.resnet18()
    net.fc = nn.Identity()
    if weights == "imagenet":
        net.load_state_dict(_published(torchvision.models.ResNet18_Weights.IMAGENET1K_V1, without="fc."))
    net.blocks = ("conv1", "layer1", "layer2", "layer3", "layer4")
    return net, nn.Linear(512, n_classes)


def _vit_b_16(n_classes, weights, image_size):
    """Dosovitskiy et al. (2021), for images of one size, a multiple of 16 pixels; weights of torchvision or
    none.
    """
    from torchvision.models import vision_transformer as vit

    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 16 or image_size % 16:
        raise InputError(
            f"image_size {image_size!r} is not a multiple of "
            "16: vit_b_16 cuts images into squares of 16 pixels"
        )
    net = vit.vit_b_16(image_size=image_size)
    net.heads = nn.Identity()
    if weights == "imagenet":
        state = _published(vit.ViT_B_16_Weights.IMAGENET1K_V1, without="heads.")
        net.load_state_dict(vit.interpolate_embeddings(image_size, 16, state))
    net.blocks = tuple(f"encoder.layers.encoder_layer_{i}" for i in range(12))
    return net, nn.Linear(768, n_classes)


class _Bert(nn.Module):
    """BERT (Devlin et al., 2019): int32 (B, 3, L) tokens, types and mask to pooled outputs (B, D)."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert
        self.blocks = tuple(f"bert.encoder.layer.{i}" for i in range(bert.config.num_hidden_layers))

    def forward(self, x):
        ids, types, mask = x.unbind(1)
        z = self.bert.embeddings(input_ids=ids, token_type_ids=types)
        # What its forward() does, but for a look at the mask (is it needed at all?), which would wait for a
        # GPU. This number is exp(.) = 0 in every precision.
        away = (1 - mask[:, None, None].to(z.dtype)) * torch.finfo(torch.float16).min
        return self.bert.pooler(self.bert.encoder(z, attention_mask=away)[0])


def _bert(n_classes, weights, vocabulary):
    """The published bert-base-uncased, or an untrained one of `vocabulary` tokens (None: as published)."""
    transformers = _transformers()
    config = transformers.BertConfig()
    if weights == "none":
        config.vocab_size = vocabulary or config.vocab_size
        return _Bert(transformers.BertModel(config)), nn.Linear(768, n_classes)
    if vocabulary not in (None, config.vocab_size):
        raise InputError(
            f"the published bert has {config.vocab_size} tokens, not "
            f"{vocabulary}: leave out vocabulary, or use --weights none"
        )
    folder = Path(torch.hub.get_dir()) / "checkpoints" / BERT
    source = folder if folder.is_dir() else BERT
    try:
        bert = transformers.BertModel.from_pretrained(source, use_safetensors=True)
    except (OSError, ValueError, SafetensorError):
        raise InputError(
            f"the weights of {BERT} cannot be downloaded or read: put config.json and model.safetensors of "
            f"https://huggingface.co/google-bert/{BERT} into {folder}, or use --weights none"
        ) from None
    return _Bert(bert), nn.Linear(768, n_classes)


def _small_bert(n_classes, vocabulary):
    """Two layers of 64 for short sentences: seconds an epoch on a CPU. None: the published vocabulary."""
    transformers = _transformers()
    vocabulary = vocabulary or transformers.BertConfig().vocab_size
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    sizes |= {"vocab_size": vocabulary, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    sizes |= {"initializer_range": 0.125}
    return _Bert(transformers.BertModel(transformers.BertConfig(**sizes))), nn.Linear(64, n_classes)


def _transformers():
    try:
        import transformers
    except ImportError:
        raise InputError("bert needs the package transformers: pip install transformers") from None
    return transformers


def _published(weights, without):
    """Weights of torchvision without the head, from torch.hub's cache, downloaded when they are not there."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    there = file.is_file()
    try:
        # weights_only: nothing else is unpickled
        state = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # of the network, the hash, the archive, the unpickler
        if there:
            raise InputError(
                f"{file} is not the file of {weights.url}: delete it, or use --weights none"
            ) from error
        raise InputError(
            f"{file.name} cannot be downloaded ({type(error).__name__}): put the file of {weights.url} into "
            f"{file.parent}, or use --weights none"
        ) from error
    return {name: tensor for name, tensor in state.items() if not name.startswith(without)}


BERT = "bert-base-uncased"
ARCHITECTURES = {
    "small_resnet": _small_resnet, "mlp": _mlp, "linear": _linear, "resnet18": _resnet18,
    "vit_b_16": _vit_b_16, "bert": _bert, "small_bert": _small_bert,
}  # fmt: skip
DEFAULTS = {
    "resnet18": {"weights": "imagenet"},
    "vit_b_16": {"weights": "imagenet", "image_size": 224},
    "bert": {"weights": "imagenet", "vocabulary": None},
    "small_bert": {"vocabulary": None},
}


def build_model(name: str, n_classes: int, seed: int = 0, **options) -> Classifier:
    """Build a Classifier with initial weights that depend on `seed` alone. The head is always new.

    Args:
        name: "small_resnet", "resnet18" or "vit_b_16" (images; vit_b_16 of one size, option image_size, 224),
            "mlp" or "linear" (features; option n_features), "bert" or "small_bert" (tokens; option
            vocabulary, how many tokens there are: 30,522 as published, unless it is given).
        n_classes: number of targets, Y.
        seed: integer >= 0. The global random state of torch is left as it was.
        options: beside those, of resnet18, vit_b_16 and bert: weights, "imagenet" for the published
            pretrained ones or "none".

    Raises:
        InputError: names the file of weights that cannot be downloaded, and the folder to put it into.
    """
    check_choice(name, ARCHITECTURES, "model")
    options = DEFAULTS.get(name, {}) | options
    if "weights" in options:
        check_choice(options["weights"], ("imagenet", "none"), "weights")
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone, not the GPUs'.
        torch.default_generator.manual_seed(torch_stream(seed, "initial weights").initial_seed())
        backbone, head = ARCHITECTURES[name](n_classes, **options)
    # a saved model holds its weights: nothing is downloaded to build it again
    options |= {"weights": "none"} if "weights" in options else {}
    architecture = {"name": name, "n_classes": int(n_classes), **options}
    return Classifier(backbone, head, architecture).to(memory_format=torch.channels_last)


def check_inputs(model: Classifier, dataset: GroupedDataset) -> None:
    """Raise InputError when the images of a data set have another size than the model takes."""
    size = (getattr(model, "architecture", None) or {}).get("image_size")
    if size is not None and dataset.images is not None:
        shape = dataset.images.shape[2:] if dataset.view is None else (dataset.view.size,) * 2
        if shape != (size, size):
            raise InputError(
                f"the model takes images of {size}x{size} pixels, but these have {shape[1]}x{shape[0]}: "
                f"build it with image_size={shape[1]}, for square images"
            )


def save(model: Classifier, path: str | Path) -> None:
    """Write a model that build_model made to a safetensors file; the file appears whole or not at all."""
    if model.architecture is None:
        raise InputError("this model was not made by build_model: save its state_dict yourself")
    write_tensors(path, model.state_dict(), {"architecture": json.dumps(model.architecture)})


def load_model(path: str | Path) -> Classifier:
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
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} does not fit its architecture: {reason}") from None
    return model.eval()


def write_tensors(path: str | Path, tensors: dict, metadata: dict) -> None:
    """Write named tensors and text metadata to a safetensors file, atomically."""
    with whole(path) as partial:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(plain, partial, metadata)


def read_tensors(path: str | Path) -> tuple[dict, dict]:
    """Return (tensors, metadata) of a safetensors file, or raise InputError naming it."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        raise InputError(
            f"{path} is truncated or not a safetensors file: delete it, and what it held is made again"
        ) from None
