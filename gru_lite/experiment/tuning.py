"""Tuning: as many configurations for each method, compared on validation, on seeds that no table reports::

    OUT/tuning.csv    a row for each method, sampling, trial, ratio and seed that ran: values as JSON, Avg.
                      Gap on validation; and "original", which is doing nothing
    OUT/chosen.json   what each best trial has, for `gru-lite run --configs`; null: doing nothing is better

A method that visits the retain set is searched twice, with REWEIGHT and without. Every search runs by the
same rule. Its trials are halved: all of them run on the first seed, the better third on two seeds, a third of
those on four, and so on to all seeds. A best value at an edge of its range, or a best trial that is below
doing nothing, extends the search by a third of its trials beyond that edge (towards a learning rate of 0
below doing nothing), EXTENSIONS times at most.

The runs lie in the folder like those of an experiment, and a killed tuning continues in the same way.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ..labels import label
from ..methods import retains
from ..recipes.configs import PLAIN
from ..recipes.search import edges, extended, first_points, points, space_of
from ..scores import GAP_METRICS, average_gap, mean_reference
from .options import TuneOptions
from .runs import execute, planned, requests
from .store import Run, read_run, write_text

COLUMNS = [
    "method", "sampling", "trial", "ratio", "seed", "config", "extension", "avg_gap", *GAP_METRICS, "seconds",
    "status",
]  # fmt: skip
EXTENSIONS = 2


@dataclass(eq=False)
class Search:
    """One method, with REWEIGHT or without.

    Attributes:
        method: its name.
        sampling: "none" without REWEIGHT, or as it samples.
        space: {field: range}, with what extensions have added.
        trials: {field: value} of each trial.
        sizes: number of trials before each extension.
        rows: of the log, {run: row}.
    """

    method: str
    sampling: str
    space: dict
    trials: list[dict]
    sizes: list[int] = field(default_factory=list)
    rows: dict[Run, dict] = field(default_factory=dict)

    def better_third(self, trials: list[int]) -> list[int]:
        """Return the trials with the highest means over what ran of them; those that diverged come last."""
        means = {trial: [] for trial in trials}
        for item, row in self.rows.items():
            if item.trial in means:
                means[item.trial].append(row["avg_gap"])
        means = {trial: np.mean(gaps) for trial, gaps in means.items()}
        order = sorted(trials, key=lambda trial: (np.isnan(means[trial]), -means[trial], trial))
        return order[: math.ceil(len(order) / 3)]

    def extend(self, no_op: list[dict], options: TuneOptions) -> bool:
        """Add trials where the rule asks for them, and return whether it does."""
        (found,) = results_of(pd.DataFrame([*no_op, *self.rows.values()])).values()
        at = edges(self.space, found.values) if found.values else {}
        if found.is_failed:
            at["lr"] = "low"
        at = {name: end for name, end in at.items() if name in self.space}
        if not at or len(self.sizes) == EXTENSIONS:
            return False
        self.sizes.append(len(self.trials))
        new, self.space = extended(self.space, at)
        n = math.ceil(options.trials / 3)
        self.trials += _limited(points(self.method, new, n, options.search, len(self.sizes)), options.steps)
        return True


def tune(options: TuneOptions, progress: bool = True) -> pd.DataFrame:
    """Compute what is asked for and is not there yet.

    Every score is measured on the validation set in the place of test, and Avg. Gap against the mean of the
    references.

    Args:
        options: TuneOptions.
        progress: show bars.

    Returns:
        DataFrame: the log of what was asked for. The folder may hold more, from earlier calls.

    Raises:
        InputError: before anything is written.
    """
    seeds, ratios = requests(options)
    sampling, n, images = options.reweight[0], options.trials, not options.is_of_records
    searches = [
        Search(
            method,
            how,
            space_of(method, images),
            _limited(first_points(method, n, options.search, images), options.steps),
        )
        for method in options.methods
        for how in ((sampling, "none") if retains(method) else ("none",))
    ]
    names = ["retrain", *(f"reference_{k}" for k in range(2, options.references + 1))]
    asked = [(ratio, seed) for ratio in ratios for seed in seeds]
    references = [Run(name, sampling, *at) for at in asked for name in names]
    first = [Run("original", "none", None, seed) for seed in seeds] + references
    unchanged = [Run("original", "none", *at) for at in asked]
    with planned(options, first, progress) as (plan, _):
        execute(plan, first, "training", options, progress)
        execute(plan, unchanged, "scoring", options, progress)
        yardstick = {at: _yardstick(plan, at, references) for at in asked}
        no_op = [_row(plan, item, yardstick, {}, 0) for item in unchanged]
        active = searches
        while active:
            trials = {(search.method, search.sampling != "none"): search.trials for search in searches}
            plan = replace(plan, recipe=replace(plan.recipe, trials=trials))
            halve(active, plan, seeds, ratios, yardstick, options, progress)
            active = [search for search in active if search.extend(no_op, options)]
    rows = [search.rows[item] for search in searches for item in sorted(search.rows, key=_place)]
    log = pd.DataFrame(no_op + rows).reindex(columns=COLUMNS)
    write_text(plan.out / "tuning.csv", log.to_csv(index=False, lineterminator="\n"))
    write_text(plan.out / "chosen.json", json.dumps(chosen(log), indent=1) + "\n")
    return log


def halve(searches, plan, seeds, ratios, yardstick, options, progress):
    """Run all trials of the searches on one seed, the better third on two, a third of those on four ..."""
    going = {search: list(range(len(search.trials))) for search in searches}
    for n in rounds(len(seeds)):
        items = {
            search: [
                Run(search.method, search.sampling, ratio, seed, trial)
                for trial in trials
                for ratio in ratios
                for seed in seeds[:n]
            ]
            for search, trials in going.items()
        }
        # So that each process generates the data of a seed once.
        by_seed = sorted(sum(items.values(), []), key=lambda item: item.seed)
        execute(plan, by_seed, f"unlearning, {n} of {len(seeds)} seeds", options, progress)
        for search, runs in items.items():
            for item in runs:
                values = search.trials[item.trial]
                extension = sum(item.trial >= size for size in search.sizes)
                search.rows[item] = _row(plan, item, yardstick, values, extension)
            going[search] = search.better_third(going[search])


def rounds(n: int) -> list[int]:
    """Return how many of n seeds each round has: 1, 2, 4 ... n."""
    return [*(2**k for k in range((n - 1).bit_length())), n]


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        trial: number of the best trial, None where every one diverged.
        values: its {field: value}.
        gap: its mean Avg. Gap on validation.
        no_op: that of doing nothing, NaN where the log does not have it.
        n_trials: how many there were.
        n_diverged: how many diverged somewhere.
        n_extensions: how often the search was extended.
    """

    trial: int | None
    values: dict | None
    gap: float
    no_op: float
    n_trials: int
    n_diverged: int
    n_extensions: int

    @property
    def is_failed(self) -> bool:
        """Whether doing nothing is better than the best trial, or every trial diverged."""
        return self.trial is None or self.gap < self.no_op


def results_of(log: pd.DataFrame) -> dict[tuple[str, str], Found]:
    """Return {(method, sampling): Found} of each search of a log, from the log alone.

    The best trial has the highest mean Avg. Gap over all ratios and seeds; of equal ones it is the earliest.
    A trial that diverged anywhere is out, and so is one that was dropped before the last seed.
    """
    is_no_op = log["method"] == "original"
    no_op = log.loc[is_no_op, "avg_gap"].mean() if is_no_op.any() else math.nan
    found = {}
    for key, rows in log[~is_no_op].groupby(["method", "sampling"], sort=False):
        trials = rows.groupby("trial")
        diverged = trials["status"].apply(lambda status: (status != "ok").any())
        complete = trials.size() == trials.size().max()
        means = trials["avg_gap"].mean().round(6).where(complete & ~diverged)  # rounded: no last bit decides
        best = int(means.idxmax()) if means.notna().any() else None
        values = json.loads(rows.loc[rows["trial"] == best, "config"].iloc[0]) if best is not None else None
        extensions = int(rows["extension"].max()) if "extension" in rows else 0
        counts = len(means), int(diverged.sum()), extensions
        found[key] = Found(best, values, means.max(), no_op, *counts)
    return found


def chosen(log: pd.DataFrame) -> dict:
    """Return what the best trials have, from the log alone, as `gru-lite run --configs` takes it:
    {"method": {"field": value}}, and the same under PLAIN of methods that were searched without REWEIGHT,
    too. None in the place of values: doing nothing is better, or every trial diverged.
    """
    found = {key: None if result.is_failed else result.values for key, result in results_of(log).items()}
    both = {method for method, sampling in found if sampling != "none"}
    values = {method: value for (method, how), value in found.items() if how != "none" or method not in both}
    plain = {method: value for (method, how), value in found.items() if how == "none" and method in both}
    return values | ({PLAIN: plain} if plain else {})


def tuning_summary(log: pd.DataFrame) -> str:
    """Return what a tuning found, as text: a line a search."""
    n = len(log[["ratio", "seed"]].drop_duplicates())
    found = results_of(log)
    several = log["sampling"].nunique() > 2
    lines = [f"Mean Avg. Gap on validation over {n} requests (ratios x seeds):"]
    no_op = next(iter(found.values())).no_op
    if not math.isnan(no_op):
        lines.append(f"  {'doing nothing':26} {no_op:.1f}")
    for (method, sampling), result in found.items():
        what = f"{result.n_trials} trials"
        what += f", {result.n_diverged} diverged" if result.n_diverged else ""
        what += f", extended {('once', 'twice')[result.n_extensions - 1]}" if result.n_extensions else ""
        name = f"  {label(method, sampling, several):26}"
        if result.trial is None:
            lines.append(f"{name} failed search: every trial diverged ({what})")
            continue
        values = ", ".join(f"{field} {value}" for field, value in result.values.items())
        gap = f"{result.gap:.1f}"
        if result.is_failed:
            gap = f"failed search: {gap} at best is below doing nothing"
        lines.append(f"{name} {gap} ({what})  trial {result.trial}: {values}")
    return "\n".join(lines)


def _limited(trials, steps):
    """The trials with the limit of steps, where there is one."""
    return [trial | ({"steps": steps} if steps else {}) for trial in trials]


def _place(item):
    return item.trial, item.ratio, item.seed


def _yardstick(plan, at, references):
    """The mean Scores of the references of one request; None where every one diverged."""
    scores = [_record(plan, item)["scores"] for item in references if (item.ratio, item.seed) == at]
    scores = [found for found in scores if found]
    return mean_reference(scores) if scores else None


def _row(plan, item, yardstick, values, extension):
    """One row of the log."""
    record, reference = _record(plan, item), yardstick[item.ratio, item.seed]
    row = {"method": item.method, "sampling": item.sampling, "trial": item.trial or 0, "ratio": item.ratio}
    row |= {"seed": item.seed, "config": json.dumps(values), "extension": extension, "avg_gap": np.nan}
    if record["scores"]:
        row |= {name: getattr(record["scores"], name) for name in GAP_METRICS}
        row["avg_gap"] = average_gap(record["scores"], reference) if reference else np.nan
    return row | {"seconds": record["seconds"], "status": record["status"]}


def _record(plan, item):
    return read_run(plan.out / "runs" / item.name / "run.json")
