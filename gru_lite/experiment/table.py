"""The table of an experiment, a row a run with what it is compared with; and the numbers of its summary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..methods import base_of, method_names
from ..scores import GAP_METRICS, average_gap, mean_reference, tug_of_war
from ..scores.statistics import (
    MARGIN,
    calibrated_gap,
    equivalence_test,
    holm,
    mean_interval,
    paired_test,
    paired_tests,
)
from .options import LISTED, Options
from .store import FAILED_SEARCH, read_recipe, read_run, reference_number

COLUMNS = [
    "method", "reweight", "sampling", "ratio", "seed", *GAP_METRICS, "avg_gap", "avg_gap_refs", "tow",
    "EO_worst", "EO_paper", "worst_group", "MIA_auc", "MIA_auc_low", "MIA_auc_high",
]  # fmt: skip
COMPARISON = [
    "ratio", "method", "method_sampling", "rival", "sampling", "seeds", "mean", "half", "p_holm", "smallest",
    "smallest_holm",
]  # fmt: skip
EQUIVALENCE = "ratio method sampling seeds mean half p_inside p_outside verdict".split()


@dataclass(frozen=True)
class Facts:
    """What a table does not say of itself.

    Attributes:
        request: who asked to be forgotten, as text.
        default_request: whether those are the default groups of the data.
        data: name of the data set on disk, or None.
        model: name of its architecture.
        target: of a data set with several.
        trial: the flags that make this a trial run, or "".
        not_in_paper: methods that the paper's preset has no values of.
        borrowed: whether the paper's preset takes the values of another request, see `published_row`.
    """

    request: str = "the forgotten groups"
    default_request: bool = True
    data: str | None = None
    model: str | None = None
    target: str | None = None
    trial: str = ""
    not_in_paper: tuple[str, ...] = ()
    borrowed: bool = False


@dataclass(frozen=True, eq=False)
class Results:
    """A table and its facts.

    Attributes:
        table: DataFrame, a row for each method, sampling, ratio and seed; see COLUMNS.
        facts: Facts.
    """

    table: pd.DataFrame
    facts: Facts = Facts()

    def requested(self, options: Options) -> Results:
        """Return the rows that `options` ask for: a folder may hold more, from earlier calls.

        All references of the folder are among them: the gaps of the other rows were measured against them.
        """
        table, ratios = self.table, options.ratio or (LISTED,)
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        chosen = table["method"].isin({"original", "retrain", "ceiling", *options.methods})
        chosen |= table["method"].str.startswith("reference_")
        chosen &= table["sampling"].isin(["none", *options.reweight])
        return replace(self, table=table[chosen & table["seed"].isin(seeds) & table["ratio"].isin(ratios)])


def make_table(out: str | Path) -> pd.DataFrame:
    """Build the table of a results folder from its finished runs, sorted by ratio, seed and method."""
    reference = read_recipe(Path(out))["reference"]
    records = [read_run(file) for file in sorted(Path(out).glob("runs/*/run.json"))]
    key = ("ratio", "seed", "method", "sampling")
    records = {tuple(r[name] for name in key): r for r in records if r["ratio"] is not None}
    table = pd.DataFrame([_row(record, records, reference) for record in records.values()])
    groups = sorted(c for c in table.columns if c.startswith("acc_"))
    table = table.reindex(columns=COLUMNS + groups + ["n_forget", "seconds", "share", "status"])
    extra = sorted({m for m in table["method"] if m.startswith("reference_")}, key=reference_number)
    rank = {method: i for i, method in enumerate(["original", "retrain", *extra, "ceiling", *method_names()])}
    order = table.assign(rank=table["method"].map(base_of).map(rank))
    order = order.assign(part=pd.to_numeric(table["ratio"], errors="coerce"))
    # A method before its variants; without REWEIGHT first: "none" stands before the ways to sample.
    by = ["part", "seed", "rank", "method", "sampling"]
    return table.loc[order.sort_values(by).index].reset_index(drop=True)


def _row(record, records, reference):
    """One row; `records` holds what it is compared with, `reference` says how its reference samples."""
    at, scores = (record["ratio"], record["seed"]), record["scores"]
    kept = ("method", "sampling", "ratio", "seed", "n_forget", "seconds", "status")
    row = {name: record[name] for name in kept} | {"reweight": record["sampling"] != "none"}
    if scores is not None:
        row |= {name: getattr(scores, name) for name in GAP_METRICS}
        first = records.get((*at, "retrain", reference))
        if first and first["scores"]:
            row["avg_gap"] = average_gap(scores, first["scores"])
            row["tow"] = tug_of_war(scores, first["scores"])
            if first["seconds"]:  # a training of a few records takes 0.00 s
                row["share"] = round(record["seconds"] / first["seconds"], 4)
        # The yardstick of avg_gap_refs: all references but, for a reference, itself; the ceiling is held out.
        yardstick = [
            other["scores"]
            for key, other in records.items()
            if key[:2] == at and other["scores"] and other is not record
            and (key[2].startswith("reference_") or key[2:] == ("retrain", reference))
        ]  # fmt: skip
        if yardstick:
            row["avg_gap_refs"] = average_gap(scores, mean_reference(yardstick))
        row |= {name: value for name, value in scores.flat().items() if name not in GAP_METRICS}
    return row


def select(table: pd.DataFrame, method: str, ratio: float | str, sampling: str = "none") -> pd.DataFrame:
    """Return the rows of one method at one ratio, a number or a text, indexed and sorted by seed.

    `sampling` is "none" (without REWEIGHT), "replacement" or "top_up".
    """
    chosen = (table["method"] == method) & (table["ratio"] == str(ratio)) & (table["sampling"] == sampling)
    return table[chosen].set_index("seed").sort_index()


def is_reference(part: pd.DataFrame) -> bool:
    """Return whether rows of one method and sampling are of a reference: all at 100, or of a further one."""
    gap = part["avg_gap"].dropna()
    is_first = part["method"].iloc[0] == "retrain" and len(gap) > 0 and bool((gap == 100).all())
    return is_first or part["method"].iloc[0].startswith("reference_")


def compare(
    table: pd.DataFrame, method: str | None = None, sampling: str | None = None, metric: str = "avg_gap_refs"
) -> pd.DataFrame:
    """Compare one row with every other row of a table, paired by seed.

    Args:
        table: of `gru_lite.run` or `gru_lite.read_record`.
        method: whose row it is; None: the method that is best by mean at each ratio. Who is best was then
            found by looking at these seeds: only fresh ones can confirm it.
        sampling: of that row; None: with REWEIGHT, as the table's reference samples, or without where it has
            no such row.
        metric: column of which a higher value is better.

    Returns:
        DataFrame: a row a rival (the original included; the references and the ceiling are no rivals) and
            ratio: ratio; method and method_sampling, what is compared; rival and sampling; seeds (pairs);
            mean (method - rival) and half (of its 95% interval); p_holm (corrected over the rivals of this
            ratio); smallest (the difference that so many pairs would have found with 80% power);
            smallest_holm (the same at the first Holm step). Rivals with fewer than two common seeds are left
            out.
    """
    rows = []
    for ratio, block in table.groupby("ratio", sort=False):
        groups = dict(list(block.groupby(["method", "sampling"], sort=False)))
        reference = next((key[1] for key, part in groups.items() if is_reference(part)), "replacement")
        parts = {
            key: part.set_index("seed")[metric]
            for key, part in groups.items()
            if key[0] != "ceiling" and not is_reference(part)
        }
        chosen = _compared(parts, method, sampling, reference)
        if chosen not in parts:
            continue
        ours = parts.pop(chosen)
        differences = {rival: (ours - values).dropna().to_numpy() for rival, values in parts.items()}
        differences = {rival: values for rival, values in differences.items() if len(values) > 1}
        tests = paired_tests(differences).drop(columns=["p", "verdict"])
        for rival, (mean, half, *rest) in zip(differences, tests.itertuples(index=False), strict=True):
            rows.append([ratio, *chosen, *rival, len(differences[rival]), mean, half, *rest])
    return pd.DataFrame(rows, columns=COMPARISON)


def equivalence(table: pd.DataFrame, margin: float = MARGIN, metric: str = "avg_gap_refs") -> pd.DataFrame:
    """Ask of every method whether it is as near to the reference as the ceiling, a second reference, is.

    Args:
        table: of `gru_lite.run` or `gru_lite.read_record`.
        margin: points of `metric`, fixed before the table was made: how much nearer or further does not
            matter.
        metric: a column.

    Returns:
        DataFrame: a row a method, sampling and ratio (the original and retraining are none): seeds (pairs);
            mean (method - ceiling) and half (of its 90% interval); p_inside and p_outside as
            `equivalence_test` gives them, each after Holm over the rows of this ratio; verdict: "equivalent",
            "not equivalent" or "undecided" at level .05.
    """
    rows = []
    for ratio, block in table.groupby("ratio", sort=False):
        parts = {
            key: part.set_index("seed")[metric]
            for key, part in block.groupby(["method", "sampling"], sort=False)
            if key[0] not in ("original", "retrain") and not key[0].startswith("reference_")
        }
        ceiling = next((parts.pop(key) for key in list(parts) if key[0] == "ceiling"), None)
        if ceiling is None:
            continue
        pairs = {
            key: pd.concat([values, ceiling], axis=1, join="inner").dropna() for key, values in parts.items()
        }
        pairs = {key: both.to_numpy().T for key, both in pairs.items() if len(both) > 1}
        tests = {key: equivalence_test(*both, margin) for key, both in pairs.items()}
        inside, outside = (holm([test[k] for test in tests.values()]) for k in (2, 3))
        for (key, (mean, half, *_)), p_in, p_out in zip(tests.items(), inside, outside, strict=True):
            verdict = "equivalent" if p_in < 0.05 else "not equivalent" if p_out < 0.05 else "undecided"
            rows.append([ratio, *key, pairs[key].shape[1], mean, half, p_in, p_out, verdict])
    return pd.DataFrame(rows, columns=EQUIVALENCE)


def _compared(parts, method, sampling, reference):
    """(method, sampling) of the row that is compared with the others."""
    if method is None:
        means = {key: values.mean() for key, values in parts.items() if key[0] not in ("original", "retrain")}
        means = {key: mean for key, mean in means.items() if not np.isnan(mean)}
        return max(means, key=means.get) if means else None
    if sampling is None:
        sampling = reference if (method, reference) in parts else "none"
    return method, sampling


@dataclass(frozen=True)
class Line:
    """What the summary says of one row of a block, as numbers.

    Attributes:
        method: its name.
        sampling: how it samples.
        diverged: how many seeds.
        is_failed_search: whether its tuning found nothing that is better than doing nothing.
        means: {column: (mean, half width of the 95% Student interval)} over the other seeds.
        calibrated: (value, low, high), NaN where it cannot be told.
        is_reference: whether it is what the others are compared with.
    """

    method: str
    sampling: str
    diverged: int
    is_failed_search: bool
    means: dict[str, tuple[float, float]]
    calibrated: tuple[float, float, float]
    is_reference: bool


def lines_of(block: pd.DataFrame) -> list[Line]:
    """Return the Lines of the rows of one ratio, further references left out."""
    block = block[~block["method"].str.startswith("reference_")]
    parts = dict(list(block.groupby(["method", "sampling"], sort=False)))
    gaps = {key: part.set_index("seed")["avg_gap_refs"] for key, part in parts.items()}
    ceiling = next((gap for (method, _), gap in gaps.items() if method == "ceiling"), None)
    lines = []
    for (method, sampling), part in parts.items():
        good = part[part["status"] == "ok"]
        columns = [*GAP_METRICS, "worst_group", "avg_gap", "avg_gap_refs", "seconds", "share"]
        # Avg. Gap has no value where the reference diverged.
        means = {name: mean_interval(good[name].dropna()) for name in columns if good[name].notna().any()}
        calibrated = _calibrated(gaps[method, sampling], gaps.get(("original", "none")), ceiling)
        failed = bool((part["status"] == FAILED_SEARCH).any())
        diverged = int(part["status"].str.startswith("diverged").sum())
        lines.append(Line(method, sampling, diverged, failed, means, calibrated, is_reference(part)))
    return lines


def _calibrated(gap, no_op, ceiling):
    """The calibrated gap over the seeds that all three have."""
    if no_op is None or ceiling is None:
        return (np.nan,) * 3
    together = pd.concat([gap, no_op, ceiling], axis=1, join="inner").dropna().to_numpy().T
    return calibrated_gap(*together) if together.shape[1] else (np.nan,) * 3


def harm_and_gain(block: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Return what one ratio shows at a glance, in points of GA: [(sampling, mean, half of its 95% interval)].

    With sampling "none" it is the change from the original to plain retraining, with another what REWEIGHT
    gives back.
    """
    parts = block.groupby(["method", "sampling"], sort=False)
    accuracy = {key: part.set_index("seed")["GA"].dropna() for key, part in parts}
    found = []
    for (method, sampling), after in accuracy.items():
        before = accuracy.get(("original" if sampling == "none" else "retrain", "none"))
        if method != "retrain" or before is None or ("retrain", "none") not in accuracy:
            continue
        together = pd.concat([after, before], axis=1, join="inner").to_numpy().T
        if together.shape[1]:
            found.append((sampling, *paired_test(*together)[:2]))
    return found


def spread_of_references(block: pd.DataFrame) -> pd.Series | None:
    """Return how far the references of a seed are apart: the mean over seeds of their standard deviation."""
    parts = [part for _, part in block.groupby(["method", "sampling"]) if is_reference(part)]
    if len(parts) < 2:
        return None
    groups = [name for name in block if name.startswith("acc_")]
    return pd.concat(parts).groupby("seed")[[*GAP_METRICS, *groups]].std().mean()
