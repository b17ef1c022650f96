"""Approximate unlearning: one method a file, found by being here.

The file NAME.py defines a function `NAME(original, data, split, config, *, weights, sampling, seed)` that
returns a model, and its configuration, a frozen dataclass that extends TrainConfig. Four class attributes of
the configuration say what its fields cannot: SPACE, what `gru-lite tune` searches; RETAINS, False when the
method never visits the retain set, so that REWEIGHT means nothing; HEAD_ALONE, False when the model needs
layers before its head; and VARIANTS, {name: {field: value}}. `NAME:VARIANT` is the method with these values,
whatever the others are: `miu:no_calibration`. `finetune` is the smallest example; CONTRIBUTING.md has
another, step by step.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import InputError, check_choice
from ..groups import ForgetSplit
from ..groups import reweight as reweight_split

if TYPE_CHECKING:
    from ..data.dataset import GroupedDataset
    from ..models import Classifier
    from ..train.config import TrainConfig


class Method(Protocol):
    """What the function of a method takes, and returns: a new model, trained from a copy of `original`."""

    def __call__(
        self,
        original: Classifier,
        data: GroupedDataset,
        split: ForgetSplit,
        config: TrainConfig,
        *,
        weights: np.ndarray | None,
        sampling: str,
        seed: int,
    ) -> Classifier: ...


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, without importing one."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py")))


def _found() -> dict[str, tuple[Method, type[TrainConfig]]]:
    """{name: (function, its configuration class)} of all methods."""
    from ..train.config import TrainConfig

    found = {}
    for name in method_names():
        module = importlib.import_module(f".{name}", __name__)
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        configs = [c for c in classes if issubclass(c, TrainConfig) and c.__module__ == module.__name__]
        if not callable(getattr(module, name, None)) or len(configs) != 1:
            raise InputError(
                f"{module.__file__} is no method: it must define a function {name} and one configuration, a "
                "dataclass that extends TrainConfig"
            )
        found[name] = (getattr(module, name), configs[0])
    return found


def __getattr__(name):
    # METHODS is found when it is first asked for: the command line lists names without waiting for torch.
    if name == "METHODS":
        globals()["METHODS"] = _found()
        return globals()["METHODS"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def base_of(name: str) -> str:
    """Return the method of which a name is a variant; of a method, its name."""
    return name.split(":")[0]


def method(name: str) -> tuple:
    """Return (function, configuration class) of a method or a variant, or raise InputError that names the
    nearest.
    """
    methods = importlib.import_module(__name__).METHODS
    check_choice(base_of(name), methods, "method")
    found = methods[base_of(name)]
    if ":" in name:
        variants = getattr(found[1], "VARIANTS", {})
        if not variants:
            raise InputError(f"{base_of(name)} has no variants: leave out {name[name.index(':') :]!r}")
        check_choice(name.split(":", 1)[1], variants, f"variant of {base_of(name)}")
    return found


def variants_of(name: str) -> tuple[str, ...]:
    """Return the names of a method's variants; () of one that is itself a variant."""
    return () if ":" in name else tuple(getattr(method(name)[1], "VARIANTS", {}))


def fixed_fields(name: str) -> dict:
    """Return {field: value} that a variant fixes; {} of a method."""
    config_class = method(name)[1]
    return dict(config_class.VARIANTS[name.split(":", 1)[1]]) if ":" in name else {}


def default_config(name: str) -> TrainConfig:
    """Return the defaults of a method or a variant."""
    return method(name)[1](**fixed_fields(name))


_method = method  # `unlearn` has an argument of this name


def retains(name: str) -> bool:
    """Return whether a method visits the retain set: only then can REWEIGHT change it."""
    return getattr(method(name)[1], "RETAINS", True)


def takes_head_alone(name: str) -> bool:
    """Return whether a method takes a model without layers of a backbone, such as `linear`."""
    return getattr(method(name)[1], "HEAD_ALONE", True)


def unlearn(
    method: str,
    original: Classifier,
    data: GroupedDataset,
    split: ForgetSplit,
    config: TrainConfig | None = None,
    reweight: bool = True,
    sampling: str = "replacement",
    seed: int = 0,
) -> Classifier:
    """Remove the forget set of `split` from `original` approximately; returns a new model.

    Args:
        method: name in METHODS, or one of its variants, such as "miu:released".
        original: Classifier trained on all of `data`; it is never changed.
        data: GroupedDataset D.
        split: ForgetSplit of it.
        config: the method's own config, or None for its defaults; a variant's values are put into it.
        reweight: sample the retain set with REWEIGHT weights.
        sampling: how, with them: "replacement" or "top_up".
        seed: integer >= 0.

    Raises:
        InputError: an unknown method (the nearest is named), the config of another, a split of other data, or
            options that contradict each other.
        DivergedError: it stopped being finite; says when and what to lower, and carries the last good model.
    """
    function, config_class = _method(method)
    if config is not None and type(config) is not config_class:
        raise InputError(f"{method} takes a {config_class.__name__}, not a {type(config).__name__}")
    config = default_config(method) if config is None else replace(config, **fixed_fields(method))
    if not np.array_equal(split.group, data.group):
        raise InputError(
            f"the split was made for other data: it has {len(split.train)} samples, "
            f"and this data has {len(data)}"
        )
    if not reweight and sampling not in ("none", "replacement"):
        raise InputError(
            f"reweight=False and sampling={sampling!r} contradict each other: {sampling} draws by weights"
        )
    weights = reweight_split(split) if reweight and getattr(config_class, "RETAINS", True) else None
    sampled = {"weights": weights, "sampling": sampling if weights is not None else "none"}
    return function(original, data, split, config, **sampled, seed=seed)
