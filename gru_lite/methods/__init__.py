"""Approximate unlearning: one method a file, one line each in the registry below.

A method is a function `method(original, data, split, config, *, weights, sampling, seed, val=None)` that
returns a model; its config is a frozen dataclass beside it, with the class attributes SPACE (what `gru-lite tune` searches)
and RETAINS (False when it never visits the retain set, so that REWEIGHT means nothing). `finetune` is the smallest example.
"""

import numpy as np

from ..errors import InputError, check_choice
from ..reweighting import reweight as reweight_split
from .eu_k import EUkConfig, eu_k
from .finetune import FinetuneConfig, finetune
from .gradient_ascent import GradientAscentConfig, gradient_ascent
from .l1_sparse import L1SparseConfig, l1_sparse
from .miu import MIUConfig, miu
from .salun import SalUnConfig, salun
from .scrub import SCRUBConfig, scrub

METHODS = {
    "finetune": (finetune, FinetuneConfig),
    "gradient_ascent": (gradient_ascent, GradientAscentConfig),
    "eu_k": (eu_k, EUkConfig),
    "l1_sparse": (l1_sparse, L1SparseConfig),
    "salun": (salun, SalUnConfig),
    "scrub": (scrub, SCRUBConfig),
    "miu": (miu, MIUConfig),
}

# without the methods: each bears the name of its module, and is described there
__all__ = ["METHODS", "unlearn", *(config.__name__ for _, config in METHODS.values())]


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
        DivergedError: it stopped being finite; says when and what to lower, and carries the last good model.
    """
    check_choice(method, METHODS, "method")
    function, config_class = METHODS[method]
    if config is not None and type(config) is not config_class:
        raise InputError(f"{method} takes a {config_class.__name__}, not a {type(config).__name__}")
    if not np.array_equal(split.group, data.group):
        raise InputError(f"the split is of other data: {len(split.train)} samples, and this has {len(data)}")
    weights = reweight_split(split) if reweight and getattr(config_class, "RETAINS", True) else None
    return function(original, data, split, config or config_class(), weights=weights, sampling=sampling, seed=seed, val=val)
