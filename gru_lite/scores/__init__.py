"""How a model is judged: scores, membership attacks, and what several seeds allow one to say."""

from .attacks import balanced_attack, paper_attack
from .scores import (
    GAP_METRICS,
    Predictions,
    Scores,
    accuracies,
    accuracy_table,
    average_gap,
    equalized_odds,
    mean_reference,
    predictions,
    score,
    tug_of_war,
)
from .statistics import (
    MARGIN,
    calibrated_gap,
    check_claim,
    equivalence_test,
    holm,
    mean_interval,
    paired_test,
    paired_tests,
    smallest_difference,
)

__all__ = [
    "GAP_METRICS", "MARGIN", "Predictions", "Scores", "accuracies", "accuracy_table", "average_gap",
    "balanced_attack", "calibrated_gap", "check_claim", "equalized_odds", "equivalence_test", "holm",
    "mean_interval", "mean_reference", "paired_test", "paired_tests", "paper_attack", "predictions", "score",
    "smallest_difference", "tug_of_war",
]  # fmt: skip
