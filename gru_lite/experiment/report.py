"""What a table says, as text: the printed summary, and the table beside the one that the paper reports."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..data.registry import source
from ..labels import label, reported_name
from ..recipes.published import reported
from ..scores import GAP_METRICS, MARGIN
from .options import LISTED
from .table import Line, Results, compare, equivalence, harm_and_gain, lines_of, spread_of_references

REPORTED_MODEL = "resnet18"


def summary(results: Results | pd.DataFrame, compare_with: str | None = None) -> str:
    """Return the readable summary: a block a ratio, means over seeds with 95% Student half widths.

    Args:
        results: Results, or a table alone.
        compare_with: method whose row is compared with every other one; None: the one that is best by mean.
    """
    results = results if isinstance(results, Results) else Results(results)
    lines = []
    for ratio, block in results.table.groupby("ratio", sort=False):
        n_references = 1 + block.loc[block["method"].str.startswith("reference_"), "method"].nunique()
        several = block["sampling"].nunique() > 2
        lines += ["", _title(results.facts, ratio, block)]
        lines += _columns(_rows(lines_of(block), results.facts, n_references, several))
        lines += _headline(block)
        lines += _spread(block, n_references)
        lines += _near_the_ceiling(block, several)
        lines += _survivors(block, compare_with, n_references, several)
    return "\n".join(lines).lstrip("\n")


def _title(facts, ratio, block):
    seeds = block["seed"].nunique()
    request = "the listed samples" if ratio == LISTED else f"{100 * float(ratio):g}% of {facts.request}"
    n_forget = "/".join(str(n) for n in sorted(block["n_forget"].unique()))
    return f"Forgetting {request} ({n_forget} train samples), {seeds} seed{'s' * (seeds > 1)}, percent:"


def _rows(lines, facts, n_references, several):
    to_all = [f"to {n_references} refs"] * (n_references > 1)
    header = ["", *GAP_METRICS, "worst", "Avg. Gap", *to_all, "calibrated", "seconds", "share"]
    return [header, *(_cells(line, facts, len(header), bool(to_all), several) for line in lines)]


def _cells(line: Line, facts, width, to_all, several):
    name = label(line.method, line.sampling, several)
    name += " [not in the paper]" if line.method in facts.not_in_paper else ""
    name += f" [{line.diverged} diverged]" if line.diverged else ""
    name += " [failed search]" if line.is_failed_search else ""
    if "RA" not in line.means:
        return [name, *["-"] * (width - 1)]
    cells = [_plus_minus(line.means.get(column)) for column in (*GAP_METRICS, "worst_group")]
    if line.is_reference:
        cells += ["reference", *[""] * to_all, ""]
    else:
        cells += [_plus_minus(line.means.get(column)) for column in ("avg_gap", "avg_gap_refs")[: 1 + to_all]]
        value, low, high = line.calibrated
        cells.append("n/a" if np.isnan(value) else f"{value:.0f} [{low:.0f},{high:.0f}]")
    share = f"{line.means['share'][0]:.2f}".removeprefix("0") if "share" in line.means else ""
    return [name, *cells, f"{line.means['seconds'][0]:.0f}", share]


def _headline(block):
    lines = []
    for sampling, mean, half in harm_and_gain(block):
        interval = "" if np.isnan(half) else f" (95% interval {mean - half:+.1f} to {mean + half:+.1f})"
        what = "Plain retraining changes the accuracy of the forgotten group (GA) by"
        if sampling != "none":
            what = f"REWEIGHT{' (top_up)' if sampling == 'top_up' else ''} gives back"
        lines.append(f"{what} {mean:+.1f} points{interval}.")
    return lines


def _spread(block, n_references):
    spread = spread_of_references(block)
    if spread is None:
        return []
    scores = ", ".join(f"{name} {spread[name]:.1f}" for name in GAP_METRICS)
    worst = spread.filter(regex="^acc_").max()
    return [
        f"Spread of the {n_references} references (standard deviation within a seed): {scores}; "
        f"a group's accuracy up to {worst:.1f}."
    ]


def _near_the_ceiling(block, several):
    """Which methods come as near as a second reference does."""
    found = equivalence(block)
    if found.empty:
        return []
    names = {verdict: [] for verdict in ("equivalent", "undecided", "not equivalent")}
    for row in found.itertuples():
        names[row.verdict].append(
            f"{label(row.method, row.sampling, several)} {row.mean:+.1f}±{row.half:.1f}"
        )
    lines = [
        f"Within {MARGIN:g} point of the ceiling in Avg. Gap? (two one-sided paired tests after Holm, "
        "90% interval)"
    ]
    return lines + [f"  {verdict}: {', '.join(found)}" for verdict, found in names.items() if found]


def _survivors(block, compare_with, n_references, several):
    """One method against each rival, and what the block could have shown."""
    found = compare(block, compare_with)
    if found.empty:
        return []
    rows = [
        [
            f"  {label(row.rival, row.sampling, several)}",
            f"{row.mean:+.1f}±{row.half:.1f}",
            "p<.001" if row.p_holm < 0.001 else f"p={row.p_holm:.3f}".replace("=0", "="),
            "survives" if row.p_holm < 0.05 else "-",
        ]
        for row in found.itertuples()
    ]
    first = found.iloc[0]
    name = label(first["method"], first["method_sampling"], several)
    gap = f"Avg. Gap{f' to {n_references} refs' * (n_references > 1)}"
    lines = [
        f"{name} minus each rival, in {gap} (paired by seed, "
        f"95% interval; p after Holm over {len(found)} rivals):",
        *_columns(rows),
        f"Smallest difference that would have been found (80% power, median over the rivals): "
        f"{found['smallest'].median():.1f} points; at Holm's first step "
        f"{found['smallest_holm'].median():.1f}.",
    ]
    if compare_with is None:
        lines.append(
            f"{name} is compared because it has the highest mean on these seeds; fresh seeds have to "
            "confirm that. --compare-with NAME compares another."
        )
    return lines


def beside_reported(results: Results) -> str:
    """Return the table beside the reported one, as text: ours, reported and the difference, a block a ratio.

    Only rows that match in data set, target, model, ratio and groups are compared; of the others one line
    says why not.
    """
    facts, published = results.facts, reported()
    if facts.borrowed:
        return (
            "Not reported: two groups. The paper publishes no hyperparameters for them; "
            "these runs have those of one group."
        )
    published = published[published["dataset"] == facts.data]
    if published.empty:
        return f"Not reported: the paper's first version has no numbers of {facts.data}."
    target = source(facts.data).reported
    for differs, why in (
        (target is not None and facts.target != target, f"target {target}, not {facts.target}"),
        (facts.model != REPORTED_MODEL, f"{REPORTED_MODEL}, not {facts.model}"),
        (not facts.default_request, "the default group, not others"),
    ):
        if differs:
            return f"Not reported: the numbers of {facts.data} in the paper's first version are of {why}."
    lines = []
    if facts.trial:
        lines = [f"A trial run ({facts.trial}): its differences say nothing about the paper."]
    for ratio, block in results.table.groupby("ratio", sort=False):
        theirs = published[published["forget_ratio"].astype(str) == ratio].set_index("method")
        if theirs.empty:
            known = ", ".join(map(str, published["forget_ratio"].unique()))
            lines += ["", f"Not reported: ratio {ratio}; the paper's first version has {known}."]
        else:
            lines += ["", *_ours_and_theirs(ratio, block, theirs)]
    return "\n".join(lines).lstrip("\n")


def _ours_and_theirs(ratio, block, theirs):
    # The reported EO is of groups that are collapsed to 2 x 2, and so is its part in the gap.
    scores = block.assign(EO=block["EO_paper"]).set_index("seed")
    is_reference = (scores["method"] == "retrain") & (scores["sampling"] == "replacement")
    reference = scores.loc[is_reference, list(GAP_METRICS)]
    rows, missing = [["", *GAP_METRICS, "Avg. Gap"]], []
    for (method, sampling), part in scores.groupby(["method", "sampling"], sort=False):
        name = reported_name(method, sampling)
        if name not in theirs.index:
            missing.append(label(method, sampling, sampling == "top_up"))
            continue
        ours = part[list(GAP_METRICS)].mean()
        gaps = 100 - (part[list(GAP_METRICS)] - reference).abs().mean(axis=1, skipna=False)
        pairs = [(ours[metric], theirs.loc[name, metric]) for metric in GAP_METRICS]
        pairs.append((gaps.mean(), theirs.loc[name, "avg_gap_reported"]))
        rows.append([label(method, sampling), *(_beside(*pair) for pair in pairs)])
    title = f"Ratio {ratio}, means: ours, (reported in the paper's first version, difference)"
    lines = [f"{title}; EO of groups collapsed to 2 x 2:", *_columns(rows)]
    if missing:
        lines.append(f"Not reported: {', '.join(dict.fromkeys(missing))}.")
    return lines


def _beside(ours, theirs):
    if np.isnan(ours) or np.isnan(theirs):
        return "-" if np.isnan(ours) else f"{ours:.1f} (-)"
    return f"{ours:.1f} ({theirs:.1f}, {ours - theirs:+.1f})"


def _columns(rows):
    first, *rest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], rest)]).rstrip() for row in rows]


def _plus_minus(interval):
    if interval is None:
        return "n/a"
    mean, half = interval
    return f"{mean:.1f}" if np.isnan(half) else f"{mean:.1f}±{half:.1f}"
