"""Approximate unlearning: one method a file, one line each in the registry below.

A method is a function `method(original, data, split, config, *, weights, sampling, seed, val=None)` that
returns a model; its config is a frozen dataclass beside it. `finetune` is the smallest example.
"""

import numpy as np

from ..errors import InputError, check_choice
from ..reweighting import reweight as reweight_split
from .finetune import FinetuneConfig, finetune

METHODS = {"finetune": (finetune, FinetuneConfig)}

__all__ = ["METHODS", "unlearn", "finetune", "FinetuneConfig"]


def unlearn(method, original, data, split, config=None, reweight=True, sampling="replacement", seed=0, val=None):
    """Remove the forget set of `split` from `original` approximately; returns a new model.

    Args:
        method: name in METHODS.
        original: Classifier trained on all of `data`; it is never changed.
        data: GroupedDataset D. split: ForgetSplit of it.
        config: the method's own config, or None for its defaults.
        reweight: sample the retain set with REWEIGHT weights; sampling: "replacement" or "top_up".
        seed: integer >= 0. val: validation set, for methods that use one.

    Raises:
        InputError: an unknown method (the nearest is named), the config of another, or a split of other data.
    """
    check_choice(method, METHODS, "method")
    function, config_class = METHODS[method]
    if config is not None and not isinstance(config, config_class):
        raise InputError(f"{method} takes a {config_class.__name__}, not a {type(config).__name__}")
    if not np.array_equal(split.group, data.group):
        raise InputError(f"the split is of other data: {len(split.train)} samples, and this has {len(data)}")
    weights = reweight_split(split) if reweight else None
    return function(original, data, split, config or config_class(), weights=weights, sampling=sampling, seed=seed, val=val)
