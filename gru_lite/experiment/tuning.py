"""Tuning: as many configurations for each method, compared on validation, on seeds that no table reports::

    OUT/tuning.csv    a row for each method, trial, ratio and seed: values as JSON, Avg. Gap on validation
    OUT/chosen.json   {"method": {"field": value}} of each best trial, for `gru-lite run --configs`

The runs lie in the folder like those of an experiment, and a killed tuning continues in the same way.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from ..labels import name_of
from ..methods import retains
from ..recipes.configs import trial_values
from ..scores import GAP_METRICS, average_gap, mean_reference
from .options import TuneOptions
from .runs import execute, planned, requests
from .store import Run, read_run, write_text

COLUMNS = [
    "method", "sampling", "trial", "ratio", "seed", "config", "avg_gap", *GAP_METRICS, "seconds", "status",
]  # fmt: skip


def tune(options: TuneOptions, progress: bool = True) -> pd.DataFrame:
    """Compute what is asked for and is not there yet.

    Every score is measured on the validation set in the place of test, and Avg. Gap against the mean of the
    references.

    Args:
        options: TuneOptions.
        progress: show bars.

    Returns:
        The log as a DataFrame, of what was asked for: the folder may hold more, from earlier calls.

    Raises:
        InputError: before anything is written.
    """
    numbers = range(options.trials)
    values = {(method, trial): trial_values(method, trial) for method in options.methods for trial in numbers}
    seeds, ratios = requests(options)
    sampling = options.reweight[0]
    names = ["retrain", *(f"reference_{k}" for k in range(2, options.references + 1))]
    asked = [(ratio, seed) for seed in seeds for ratio in ratios]
    references = {at: [Run(name, sampling, *at) for name in names] for at in asked}
    trials = [
        Run(method, sampling if retains(method) else "none", ratio, seed, trial)
        for method, trial in values
        for ratio in ratios
        for seed in seeds
    ]
    originals = [Run("original", "none", None, seed) for seed in seeds]
    # So that each process generates the data of a seed once.
    by_seed = sorted(trials, key=lambda item: item.seed)
    first = originals + sum(references.values(), [])
    with planned(options, first + trials, progress) as (plan, _):
        execute(plan, first, "training", options, progress)
        execute(plan, by_seed, "unlearning", options, progress)

    rows, out = [], plan.out
    for item in trials:
        record = _record(out, item)
        row = {"method": item.method, "sampling": item.sampling, "trial": item.trial, "ratio": item.ratio}
        row |= {"seed": item.seed, "config": json.dumps(values[item.method, item.trial]), "avg_gap": np.nan}
        yardstick = [_record(out, other)["scores"] for other in references[item.ratio, item.seed]]
        yardstick = [scores for scores in yardstick if scores]  # without one that diverged
        if record["scores"]:
            row |= {name: getattr(record["scores"], name) for name in GAP_METRICS}
            row["avg_gap"] = average_gap(record["scores"], mean_reference(yardstick)) if yardstick else np.nan
        rows.append(row | {"seconds": record["seconds"], "status": record["status"]})
    log = pd.DataFrame(rows).reindex(columns=COLUMNS)
    write_text(out / "tuning.csv", log.to_csv(index=False, lineterminator="\n"))
    write_text(out / "chosen.json", json.dumps(chosen(log), indent=1) + "\n")
    return log


def chosen(log: pd.DataFrame) -> dict[str, dict]:
    """Return {method: {field: value}} of each method's best trial, from the log alone.

    The best has the highest mean Avg. Gap over all ratios and seeds; of equal ones the earliest. A trial that
    diverged anywhere is out; a method all of whose trials are out is missing.
    """
    best = {}
    for method, gaps in _mean_gaps(log).items():
        if gaps.notna().any():
            trial = (log["method"] == method) & (log["trial"] == gaps.idxmax())
            best[method] = json.loads(log.loc[trial, "config"].iloc[0])
    return best


def tuning_summary(log: pd.DataFrame) -> str:
    """Return what a tuning found, as text: a line a method."""
    n = len(log[["ratio", "seed"]].drop_duplicates())
    trials = log["trial"].nunique()
    lines = [f"Mean Avg. Gap on validation over {n} requests (ratios x seeds), {trials} trials a method:"]
    best = chosen(log)
    for method, gaps in _mean_gaps(log).items():
        out = f"; {gaps.isna().sum()} diverged" if gaps.isna().any() else ""
        if method not in best:
            lines.append(f"  {name_of(method):16} every trial diverged")
            continue
        values = ", ".join(f"{field} {value}" for field, value in best[method].items())
        default = "diverged" if np.isnan(gaps.loc[0]) else f"{gaps.loc[0]:.1f}"
        gap = f"{gaps.max():.1f} (defaults {default}{out})"
        lines.append(f"  {name_of(method):16} {gap}  trial {gaps.idxmax()}: {values}")
    return "\n".join(lines)


def _mean_gaps(log):
    """{method: mean Avg. Gap of each trial, NaN if it diverged anywhere}; rounded: no last bit decides."""
    fine = log["avg_gap"].where(log["status"] == "ok")
    diverged = (log["status"] != "ok").groupby([log["method"], log["trial"]], sort=False).any()
    means = fine.groupby([log["method"], log["trial"]], sort=False).mean().round(6).mask(diverged)
    return {method: means.loc[method].sort_index() for method in means.index.unique("method")}


def _record(out, item):
    return read_run(out / "runs" / item.name / "run.json")
