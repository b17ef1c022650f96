"""gru_lite: group-robust machine unlearning, small enough to read.

After De Min, Roy, Lathuiliere, Ricci and Mancini, *Group-robust Machine Unlearning* (TMLR 2025, arXiv
2503.09330). Start with `load`, `forget_split`, `reweight`, `build_model`, `fit`, `unlearn` and `score`.
"""

import importlib

__version__ = "0.1.0"

# Names are imported when they are first used: `gru-lite --help` need not wait for torch.
_HOME = {
    "InputError": "errors", "DivergedError": "errors", "further_seed": "seeding",
    "ForgetSplit": "groups", "forget_split": "groups", "group_weights": "groups", "reweight": "groups",
    "effective_sample_size": "groups", "draw_pass": "groups",
    "GroupedDataset": "data", "DatasetParts": "data", "View": "data", "load": "data",
    "load_manifest": "data.manifest", "waterdigits": "data.waterdigits",
    "Classifier": "models", "build_model": "models", "load_model": "models", "save": "models",
    "TrainConfig": "train", "fit": "train", "predict": "train", "extract_features": "train",
    "Critic": "information", "donsker_varadhan": "information", "mutual_information": "information",
    "METHODS": "methods", "unlearn": "methods",
    "Scores": "scores", "Predictions": "scores", "score": "scores", "predictions": "scores",
    "accuracy_table": "scores", "average_gap": "scores", "equalized_odds": "scores", "balanced_attack": "scores",
    "paper_attack": "scores", "mean_reference": "scores", "tug_of_war": "scores", "calibrated_gap": "scores",
    "check_claim": "scores", "holm": "scores", "mean_interval": "scores", "paired_test": "scores", "smallest_difference": "scores",
    "tuned": "recipes.configs", "reported": "recipes.published",
    "RunOptions": "experiment.options", "TuneOptions": "experiment.options", "run": "experiment.runs",
    "Results": "experiment.table", "read_record": "experiment.store", "compare": "experiment.table",
    "select": "experiment.table", "summary": "experiment.report", "tune": "experiment.tuning",
    "chosen": "experiment.tuning",
}  # fmt: skip
_ROOMS = {
    "errors", "files", "seeding", "groups", "data", "models", "train", "information", "methods", "scores",
    "recipes", "experiment", "labels", "plots", "cli",
}  # fmt: skip
__all__ = [*_HOME, "labels", "plots"]


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
