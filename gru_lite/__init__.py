"""gru_lite: group-robust machine unlearning, small enough to read.

After De Min, Roy, Lathuiliere, Ricci and Mancini, *Group-robust Machine Unlearning* (TMLR 2025, arXiv
2503.09330). Start with `load`, `forget_split`, `reweight`, `build_model`, `fit`, `unlearn` and `score`.
"""

import importlib

__version__ = "0.1.0"

# Names are imported when they are first used: `gru-lite --help` need not wait for torch.
_NAMES = {
    "errors": "InputError DivergedError",
    "seeding": "further_seed",
    "groups": "ForgetSplit forget_split group_weights reweight effective_sample_size request_bound draw_pass",
    "data": "GroupedDataset DatasetParts View load",
    "data.manifest": "load_manifest",
    "data.records": "load_table",
    "data.waterdigits": "waterdigits",
    "data.inkdigits": "inkdigits",
    "models": "Classifier build_model load_model save",
    "train": "TrainConfig fit predict extract_features",
    "information": "Critic donsker_varadhan mutual_information",
    "methods": "METHODS unlearn",
    "scores": "Scores Predictions score predictions accuracies accuracy_table average_gap equalized_odds "
    "balanced_attack paper_attack likelihood_ratio_attack logit_confidence tpr_at_fpr mean_reference "
    "tug_of_war calibrated_gap check_claim equivalence_test holm mean_interval paired_test paired_tests "
    "smallest_difference",
    "recipes.configs": "tuned",
    "recipes.published": "reported",
    "experiment.options": "RunOptions TuneOptions PlanOptions",
    "experiment.runs": "run",
    "experiment.table": "Results compare equivalence select",
    "experiment.store": "read_record",
    "experiment.costs": "plan",
    "experiment.report": "summary",
    "experiment.tuning": "tune chosen",
}
_HOME = {name: room for room, names in _NAMES.items() for name in names.split()}
_ROOMS = {
    "errors", "files", "seeding", "groups", "data", "models", "train", "information", "methods", "scores",
    "recipes", "experiment", "observed", "labels", "plots", "tables", "checks", "cli",
}  # fmt: skip
__all__ = [*_HOME, "checks", "labels", "plots", "tables"]


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
