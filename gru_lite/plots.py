"""Every figure of the book: one palette, one style, white ground. Alt text lives beside the figure, in its lesson cell.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; markers differ too, so that grey print works.
"""

import matplotlib.pyplot as plt
import numpy as np

from .scores import mean_interval

ORIGINAL, RETRAIN, REWEIGHT, CEILING, TOP_UP, INK = "#000000", "#D55E00", "#0072B2", "#56B4E9", "#009E73", "#333333"
STYLES = {  # method and sampling -> name, colour, marker
    ("original", ""): ("original", ORIGINAL, "s"),
    ("retrain", ""): ("retrain", RETRAIN, "v"),
    ("retrain", "replacement"): ("retrain + REWEIGHT", REWEIGHT, "o"),
    ("retrain", "top_up"): ("retrain + REWEIGHT, top-up", TOP_UP, "D"),
    ("ceiling", "replacement"): ("second reference", CEILING, "P"),
}
RC = {
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white", "font.size": 11,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e6e6",
    "axes.axisbelow": True, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "figure.dpi": 110, "savefig.dpi": 110, "legend.frameon": False,
}


def figure(width=7.5, height=3.6, columns=1, rows=1, **options):
    """Return (figure, axes) in the book's style; inches."""
    plt.rcParams.update(RC)
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)


def example_grid(dataset, per_group=12, seed=0):
    """Show `per_group` random images of each group of a GroupedDataset, a row a group."""
    rng = np.random.default_rng(seed)
    counts = dataset.group_counts
    fig, axes = figure(7.5, 0.72 * len(counts))
    rows = [rng.choice(np.flatnonzero(dataset.group == g), per_group) for g in range(len(counts))]
    canvas = np.concatenate([np.concatenate(list(dataset.images[row].transpose(0, 2, 3, 1)), axis=1) for row in rows])
    axes.imshow(canvas)
    side = dataset.images.shape[2]
    labels = [f"{name}\n{count:,} images" for name, count in zip(dataset.group_names, counts)]
    axes.set_yticks((np.arange(len(counts)) + 0.5) * side, labels)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return fig


def group_bars(tables, group_names, highlight=()):
    """Bars of group accuracy, a colour a model.

    Args:
        tables: {name: (Y, S) or (seeds, Y, S) accuracies in percent}; several seeds give 95% intervals.
        highlight: group ids whose labels are set in bold: the forgotten ones.
    """
    fig, axes = figure(7.5, 3.4)
    colours = [ORIGINAL, RETRAIN, REWEIGHT, TOP_UP, CEILING]
    width = 0.8 / len(tables)
    for i, (name, table) in enumerate(tables.items()):
        values = np.asarray(table, dtype=float).reshape(-1, len(group_names))
        stats = [mean_interval(column) for column in values.T]
        x = np.arange(len(group_names)) + (i - (len(tables) - 1) / 2) * width
        error = [half for _, half in stats] if len(values) > 1 else None
        bars = axes.bar(x, [mean for mean, _ in stats], 0.92 * width, yerr=error, capsize=2, color=colours[i % len(colours)], label=name)
        if error is None:
            axes.bar_label(bars, fmt="%.0f", fontsize=9, padding=1)
    axes.set_xticks(range(len(group_names)), group_names)
    for g in highlight:
        axes.get_xticklabels()[g].set_fontweight("bold")
    axes.set(ylabel="test accuracy (%)", ylim=(0, 108))
    axes.grid(axis="x", visible=False)
    fig.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(tables))
    return fig


def ratio_curves(table, metric="GA", rows=None, axes=None, ylabel=None):
    """Mean and 95% interval over seeds of one column of a results table against the forget ratio.

    Args:
        table: DataFrame of `gru_lite.run`. rows: (method, sampling) pairs to draw; None for those of STYLES it holds.
    """
    fig = None
    if axes is None:
        fig, axes = figure(6.5, 3.6)
    for key in rows or STYLES:
        part = table[(table["method"] == key[0]) & (table["sampling"] == key[1])]
        if part.empty:
            continue
        name, colour, marker = STYLES[key]
        stats = {float(ratio): mean_interval(block[metric]) for ratio, block in part.groupby("ratio")}
        x = sorted(stats)
        mean, half = np.array([stats[r] for r in x]).T
        half = np.nan_to_num(half)
        axes.plot(x, mean, marker=marker, color=colour, label=name, lw=1.8)
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.15, lw=0)
    axes.set(xlabel="share of the group that is forgotten", ylabel=ylabel or f"{metric} (%)", xticks=x)
    axes.legend()
    return fig or axes.figure


def paired_dots(differences, xlabel, lines=None):
    """One row of dots a comparison, a dot a seed, with mean and 95% interval: what paired differences look like.

    Args:
        differences: {label: (seeds,) differences in points}, or other values of which each seed has one.
        lines: {label: x} of vertical lines; by default one at zero.
    """
    fig, axes = figure(7, 0.7 + (0.55 if len(differences) < 8 else 0.36) * len(differences))
    for y, (label, values) in enumerate(differences.items()):
        values = np.asarray(values, dtype=float)
        mean, half = mean_interval(values)
        axes.scatter(values, np.full(len(values), y - 0.12), color=REWEIGHT, alpha=0.6, s=26, lw=0)
        axes.errorbar(mean, y + 0.16, xerr=None if np.isnan(half) else half, color=INK, marker="|", ms=14, capsize=4, lw=1.8)
    for label, x in (lines or {"": 0}).items():
        axes.axvline(x, color=INK, lw=1, ls="--")
        axes.annotate(label, (x, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=9)
    axes.set_yticks(range(len(differences)), differences)
    axes.set(xlabel=xlabel, ylim=(len(differences) - 0.5, -0.5))
    return fig
