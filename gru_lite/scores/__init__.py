"""How a model is judged: scores, membership attacks, and what several seeds allow one to say."""

from .attacks import balanced_attack, paper_attack
from .likelihood import attack_rates, likelihood_ratio_attack, logit_confidence, tpr_at_fpr
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
    "GAP_METRICS", "MARGIN", "Predictions", "Scores", "accuracies", "accuracy_table", "attack_rates",
    "average_gap", "balanced_attack", "calibrated_gap", "check_claim", "equalized_odds", "equivalence_test",
    "holm", "likelihood_ratio_attack", "logit_confidence", "mean_interval", "mean_reference", "paired_test",
    "paired_tests", "paper_attack", "predictions", "score", "smallest_difference", "tpr_at_fpr", "tug_of_war",
]  # fmt: skip
