"""gru_lite: group-robust machine unlearning, small enough to read.

After De Min, Roy, Lathuiliere, Ricci and Mancini, *Group-robust Machine Unlearning* (TMLR 2025, arXiv 2503.09330).
Start with `load`, `forget_split`, `reweight`, `build_model`, `fit`, `unlearn` and `score`.
"""

import importlib

__version__ = "0.1.0"

# Names are imported when they are first used: `gru-lite --help` need not wait for torch.
_HOME = {
    "BENCHMARKS": "data", "DATASETS": "data", "GROUP_SETS": "data", "Benchmark": "data", "GroupedDataset": "data",
    "View": "data", "load": "data", "load_manifest": "data", "waterdigits": "data",
    "ForgetSplit": "groups", "forget_split": "groups", "group_ids": "groups",
    "draw_pass": "reweighting", "effective_sample_size": "reweighting", "group_weights": "reweighting",
    "reweight": "reweighting", "Classifier": "models", "build_model": "models", "load_model": "models", "save": "models",
    "TrainConfig": "train", "fit": "train", "predict": "train", "extract_features": "train",
    "balanced_attack": "attacks", "paper_attack": "attacks",
    "Predictions": "scores", "Scores": "scores", "accuracy_table": "scores", "average_gap": "scores",
    "calibrated_gap": "scores", "check_claim": "scores", "equalized_odds": "scores", "holm": "scores",
    "mean_interval": "scores", "paired_test": "scores", "predictions": "scores", "score": "scores",
    "tug_of_war": "scores", "METHODS": "methods", "unlearn": "methods", "RunOptions": "options", "run": "experiment",
    "read_record": "experiment", "reported": "presets", "compare": "tables", "select": "tables", "summary": "tables",
    "TuneOptions": "options", "chosen": "tuning", "tune": "tuning", "tuned": "configs",
    "mean_reference": "scores", "smallest_difference": "scores", "waterdigits_large": "data",
    "Critic": "information", "donsker_varadhan": "information", "mutual_information": "information",
    "DivergedError": "errors", "InputError": "errors",
}
_ROOMS = {*_HOME.values(), "batches", "distributed", "plots", "seeding"}
__all__ = [*_HOME, "plots"]


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    elif name in _ROOMS:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'gru_lite' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOME, *_ROOMS})
