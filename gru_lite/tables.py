"""What a table of results says: rows of one method, differences that survive, and the printed summary."""

import numpy as np
import pandas as pd

from .options import LISTED
from .presets import reported
from .scores import GAP_METRICS, calibrated_gap, holm, mean_interval, paired_test, smallest_difference

REPORTED = {("original", ""): "Pretrain", ("retrain", ""): "Retrain", ("retrain", "replacement"): "Retrain+REWEIGHT",
            ("l1_sparse", ""): "L1-sparse", ("l1_sparse", "replacement"): "L1-sparse+REWEIGHT",
            ("salun", ""): "SalUn", ("salun", "replacement"): "SalUn+REWEIGHT", ("scrub", ""): "SCRUB",
            ("scrub", "replacement"): "SCRUB+REWEIGHT", ("miu", ""): "MIU without REWEIGHT", ("miu", "replacement"): "MIU"}
COMPARISON = ["ratio", "rival", "sampling", "seeds", "mean", "half", "p_holm", "smallest", "smallest_holm"]


def select(table, method, ratio, sampling=""):
    """Return the rows of one method at one ratio, indexed and sorted by seed; sampling "" is without REWEIGHT."""
    chosen = (table["method"] == method) & (table["ratio"] == str(ratio)) & (table["sampling"] == sampling)
    return table[chosen].set_index("seed").sort_index()


def compare(table, method="miu", sampling="replacement", metric="avg_gap_refs"):
    """Compare one method with every other row of a table, paired by seed.

    Args:
        table: DataFrame of `gru_lite.run`; method, sampling: the row that is compared ("" is without REWEIGHT).
        metric: column of which a higher value is better.

    Returns:
        DataFrame, a row a rival (the original included; the references and the ceiling are no rivals) and ratio:
        ratio, rival, sampling, seeds (pairs), mean (method - rival) and half (of its 95% interval), p_holm (corrected
        over the rivals of this ratio), smallest (the difference that so many pairs would have found with 80% power),
        smallest_holm (the same at the first Holm step). Rivals with fewer than two common seeds are left out.
    """
    rows = []
    for ratio, block in table.groupby("ratio", sort=False):
        parts = {key: part.set_index("seed")[metric] for key, part in block.groupby(["method", "sampling"], sort=False)
                 if key[0] != "ceiling" and not is_reference(part)}
        ours = parts.pop((method, sampling), pd.Series(dtype=float))
        differences = {rival: (ours - values).dropna().to_numpy() for rival, values in parts.items()}
        differences = {rival: values for rival, values in differences.items() if len(values) > 1}
        tests = {rival: paired_test(values, np.zeros(len(values))) for rival, values in differences.items()}
        corrected = holm([p for _, _, p in tests.values()])
        for (rival, values), p in zip(differences.items(), corrected):
            smallest = [smallest_difference(values, level=level) for level in (0.05, 0.05 / len(tests))]
            rows.append([ratio, *rival, len(values), *tests[rival][:2], p, *smallest])
    return pd.DataFrame(rows, columns=COMPARISON)


def is_reference(part):
    """Whether rows of one method and sampling are of a reference: each stands at 100 itself, or is a further one."""
    gap = part["avg_gap"].dropna()
    return part["method"].iloc[0].startswith("reference_") or (
        part["method"].iloc[0] == "retrain" and len(gap) > 0 and bool((gap == 100).all()))


def label_of(method, sampling, several=False):
    """The name of a row: "original (no-op)", "retrain", "retrain + REWEIGHT" ..."""
    label = {"original": "original (no-op)", "ceiling": "ceiling (held-out ref.)"}.get(method, method)
    if sampling and method != "ceiling":
        label += " + REWEIGHT" + (f" ({sampling})" if several else "")
    return label


def summary(table):
    """Return the readable summary of a table: a block a ratio, means over seeds with 95% Student half widths."""
    lines = []
    title = table.attrs.get("groups", "the forgotten groups")
    for ratio, block in table.groupby("ratio", sort=False):
        seeds = sorted(block["seed"].unique())
        request = "the listed samples" if ratio == LISTED else f"{100 * float(ratio):g}% of {title}"
        n_forget = "/".join(str(n) for n in sorted(block["n_forget"].unique()))
        lines += ["", f"Forgetting {request} ({n_forget} train samples), {len(seeds)} seed{'s' * (len(seeds) > 1)}, percent:"]
        references = block[block["method"].str.startswith("reference_")]
        n_references = 1 + references["method"].nunique()
        header = ["", *GAP_METRICS, "worst", "Avg. Gap", *[f"to {n_references} refs"] * (n_references > 1), "calibrated",
                  "seconds", "share"]
        rows = [header]
        several = block["sampling"].nunique() > 2
        parts = dict(list(block.drop(references.index).groupby(["method", "sampling"], sort=False)))
        gaps = {key: part.set_index("seed")["avg_gap_refs"] for key, part in parts.items()}
        ceiling = next((gap for (method, _), gap in gaps.items() if method == "ceiling"), None)
        for (method, sampling), part in parts.items():
            failed = part["status"] != "ok"
            good = part[~failed]
            label = label_of(method, sampling, several)
            label += " [not in the paper]" if method in table.attrs.get("not_in_paper", ()) else ""
            label += f" [{failed.sum()} diverged]" if failed.any() else ""
            if good.empty:
                rows.append([label, *["-"] * (len(header) - 1)])
                continue
            cells = [_plus_minus(good[name]) for name in (*GAP_METRICS, "worst_group")]
            if is_reference(part):
                cells += ["reference", *[""] * (n_references > 1), ""]
            else:
                cells += [_plus_minus(good[name]) for name in ("avg_gap", "avg_gap_refs")[:1 + (n_references > 1)]]
                cells.append(_calibrated(gaps[method, sampling], gaps.get(("original", "")), ceiling))
            share = good["share"].mean()
            share = "" if np.isnan(share) else f"{share:.2f}".removeprefix("0")
            rows.append([label, *cells, f"{good['seconds'].mean():.0f}", share])
        lines += _columns(rows)
        lines += _headline(block)
        lines += _spread(block, n_references)
        lines += _survivors(block, n_references, several)
    return "\n".join(lines).lstrip("\n")


def beside_reported(table, dataset, model="resnet18", target=None, default_groups=True):
    """Return, as text, the table beside the reported one: ours, reported and the difference, a block a ratio.

    Only rows that match in data set, target, model, ratio and groups are compared; of the others one line says why not.

    Args:
        table: DataFrame of `gru_lite.run`. dataset, model, target: as in RunOptions.
        default_groups: whether the request is the default one.
    """
    published = reported()
    published = published[published["dataset"] == dataset]
    if published.empty:
        return f"Not reported: the paper's first version has no numbers of {dataset}."
    for differs, why in ((dataset == "celeba" and target != "Attractive", f"target Attractive, not {target}"),
                         (model != "resnet18", f"resnet18, not {model}"),
                         (not default_groups, "the default group, not others")):
        if differs:
            return f"Not reported: the numbers of {dataset} in the paper's first version are of {why}."
    lines = []
    if table.attrs.get("trial"):
        lines = [f"A trial run ({table.attrs['trial']}): its differences say nothing about the paper."]
    for ratio, block in table.groupby("ratio", sort=False):
        theirs = published[published["forget_ratio"].astype(str) == ratio].set_index("method")
        if theirs.empty:
            known = ", ".join(map(str, published["forget_ratio"].unique()))
            lines += ["", f"Not reported: ratio {ratio}; the paper's first version has {known}."]
            continue
        # the reported EO is of groups that are collapsed to 2 x 2, and so is its part in the gap
        scores = block.assign(EO=block["EO_paper"]).set_index("seed")
        reference = scores.loc[(scores["method"] == "retrain") & (scores["sampling"] == "replacement"), list(GAP_METRICS)]
        rows, missing = [["", *GAP_METRICS, "Avg. Gap"]], []
        for (method, sampling), part in scores.groupby(["method", "sampling"], sort=False):
            if (method, sampling) not in REPORTED:
                missing.append(label_of(method, sampling, sampling == "top_up"))
                continue
            ours = part[list(GAP_METRICS)].mean()
            gaps = 100 - (part[list(GAP_METRICS)] - reference).abs().mean(axis=1, skipna=False)
            row = theirs.loc[REPORTED[method, sampling]]
            pairs = [*((ours[name], row[name]) for name in GAP_METRICS), (gaps.mean(), row["avg_gap_reported"])]
            rows.append([label_of(method, sampling), *(_beside(*pair) for pair in pairs)])
        title = f"Ratio {ratio}, means: ours, (reported in the paper's first version, difference)"
        lines += ["", f"{title}; EO of groups collapsed to 2 x 2:", *_columns(rows)]
        if missing:
            lines.append(f"Not reported: {', '.join(dict.fromkeys(missing))}.")
    return "\n".join(lines).lstrip("\n")


def _beside(ours, theirs):
    if np.isnan(ours) or np.isnan(theirs):
        return "-" if np.isnan(ours) else f"{ours:.1f} (-)"
    return f"{ours:.1f} ({theirs:.1f}, {ours - theirs:+.1f})"


def _columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
            for row in rows]


def _plus_minus(values, form=".1f"):
    values = values.dropna()  # Avg. Gap has no value where the reference diverged
    if values.empty:
        return "n/a"
    mean, half = mean_interval(values)
    return f"{mean:{form}}" if np.isnan(half) else f"{mean:{form}}±{half:.1f}"


def _calibrated(gap, no_op, ceiling):
    """The calibrated gap as text, over the seeds that all three have."""
    if no_op is None or ceiling is None:
        return "n/a"
    together = pd.concat([gap, no_op, ceiling], axis=1, join="inner").dropna().to_numpy().T
    if together.shape[1] == 0:
        return "n/a"
    value, low, high = calibrated_gap(*together)
    return "n/a" if np.isnan(value) else f"{value:.0f} [{low:.0f},{high:.0f}]"


def _headline(block):
    """What the block shows at one glance: the harm that plain retraining does to the group, and what comes back."""
    by = {key: part.set_index("seed")["GA"].dropna() for key, part in block.groupby(["method", "sampling"], sort=False)}
    lines = []
    for (method, sampling), accuracy in by.items():
        if method != "retrain" or ("original", "") not in by or ("retrain", "") not in by:
            continue
        before = by["original", ""] if not sampling else by["retrain", ""]
        together = pd.concat([accuracy, before], axis=1, join="inner").to_numpy().T
        if together.shape[1] == 0:
            continue
        mean, half, _ = paired_test(*together)
        interval = "" if np.isnan(half) else f" (95% interval {mean - half:+.1f} to {mean + half:+.1f})"
        what = "Plain retraining changes the accuracy of the forgotten group (GA) by"
        if sampling:
            what = f"REWEIGHT{' (top_up)' if sampling == 'top_up' else ''} gives back"
        lines.append(f"{what} {mean:+.1f} points{interval}.")
    return lines


def _spread(block, n_references):
    """How far references of one seed are from each other: what no difference between methods can be told from."""
    if n_references == 1:
        return []
    references = pd.concat([part for _, part in block.groupby(["method", "sampling"]) if is_reference(part)])
    groups = [name for name in block if name.startswith("acc_")]
    spread = references.groupby("seed")[[*GAP_METRICS, *groups]].std().mean()
    scores = ", ".join(f"{name} {spread[name]:.1f}" for name in GAP_METRICS)
    return [f"Spread of the {n_references} references (standard deviation within a seed): {scores}; "
            f"a group's accuracy up to {spread[groups].max():.1f}."]


def _survivors(block, n_references, several):
    """MIU against each rival, and what the block could have shown."""
    by = block.groupby(["method", "sampling"])
    sampling = next((sampling for (_, sampling), part in by if is_reference(part)), None)
    found = compare(block, "miu", sampling)
    if found.empty:
        return []
    rows = [[f"  {label_of(row.rival, row.sampling, several)}", f"{row.mean:+.1f}±{row.half:.1f}",
             "p<.001" if row.p_holm < 0.001 else f"p={row.p_holm:.3f}".replace("=0", "="),
             "survives" if row.p_holm < 0.05 else "-"] for row in found.itertuples()]
    usual, first = found["smallest"].median(), found["smallest_holm"].median()
    title = f"{label_of('miu', sampling, several)} minus each rival, in Avg. Gap{f' to {n_references} refs' * (n_references > 1)}"
    return [f"{title} (paired by seed, 95% interval; p after Holm over {len(found)} rivals):", *_columns(rows),
            f"Smallest difference that would have been found (80% power, median over the rivals): {usual:.1f} points; "
            f"at Holm's first step {first:.1f}."]
