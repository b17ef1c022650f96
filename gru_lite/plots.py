"""Every figure of the book: one palette, one style, white ground. Alt text is in the cell of the lesson.

Seaborn draws tidy tables, and the intervals are ours. The look holds inside `style()`: no setting is changed.
Colours are Okabe and Ito's, which colour-blind readers can tell apart. Markers differ too, for grey print.
"""

import base64
import io
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from .data import GroupedDataset
from .groups import ForgetSplit
from .labels import label
from .scores import mean_interval
from .tables import in_notebook

ORIGINAL, RETRAIN, REWEIGHT, CEILING, TOP_UP = "#000000", "#D55E00", "#0072B2", "#56B4E9", "#009E73"
INK, ORANGE, PURPLE, GRID = "#333333", "#E69F00", "#CC79A7", "#e6e6e6"
STYLES = {  # method and sampling -> colour, marker
    ("original", "none"): (ORIGINAL, "s"),
    ("retrain", "none"): (RETRAIN, "v"),
    ("retrain", "replacement"): (REWEIGHT, "o"),
    ("retrain", "top_up"): (TOP_UP, "D"),
    ("ceiling", "replacement"): (CEILING, "P"),
}
RC = {
    "figure.facecolor": "white", "axes.facecolor": "white", "figure.dpi": 110, "font.size": 11,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip


def style():
    """Return the context in which the book's figures are made; `@style()` is for a whole function."""
    return plt.rc_context(RC)


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return (low, high), the 95% Student interval of (n,) values, for seaborn's `errorbar`; NaN if n = 1."""
    mean, half = mean_interval(values)
    return mean - half, mean + half


@style()
def figure(width: float = 7.5, height: float = 3.6, columns: int = 1, rows: int = 1, **options) -> tuple:
    """Return (figure, axes) in the book's style; width and height in inches, `options` of `plt.subplots`."""
    fig, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)
    for each in fig.axes:  # ticks are made when they are drawn, outside of the context
        each.tick_params(which="both", color=INK, labelcolor=INK, labelsize=RC["font.size"], grid_color=GRID)
    return fig, axes


NARROW = 4.1  # inches: on a phone its text is 12 pixels high


def show() -> None:
    """Show the open figures, in a notebook as SVG, and close them.

    On a page of the book a figure takes the colours of the page. A narrow screen gets the figure in one
    column, which lies in the metadata of the wide one; with more than three columns there is none, unless all
    are pictures.
    """
    if not in_notebook():
        plt.show()
        return
    from IPython.display import SVG, display

    for number in plt.get_fignums():
        fig = plt.figure(number)
        picture = _svg(fig)
        if _stack(fig):
            inside = base64.b64encode(_svg(fig).encode()).decode()
            picture = picture.replace("</svg>", f'<metadata class="narrow">{inside}</metadata></svg>')
        display(SVG(picture))
        plt.close(fig)


def _svg(fig):
    """The figure as SVG: text stays text, and nothing differs from run to run."""
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gru_lite"}):
        file = io.StringIO()
        fig.savefig(
            file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = file.getvalue()
    return text[text.index("<svg") :].strip()


def _stack(fig):
    """Lay a figure out for a narrow screen, in place; whether that can be done."""
    specs = [axes.get_subplotspec() for axes in fig.axes]
    if not specs or None in specs:
        return False
    width, height = fig.get_size_inches()
    rows, columns = specs[0].get_gridspec().get_geometry()
    if all(axes.images for axes in fig.axes):  # pictures stay side by side
        fig.set_size_inches(NARROW, 1.2 * height * NARROW / width)
        return True
    if columns > 3:
        return False
    grid = fig.add_gridspec(len(specs), 1)
    for k, axes in enumerate(fig.axes):
        axes.set_subplotspec(grid[k])
        axes.tick_params(labelbottom=True, labelleft=True)
        # What stood only beside the first or below the last of axes that share it.
        first = fig.axes[k - k % columns]
        axes.set_ylabel(axes.get_ylabel() or first.get_ylabel())
        if len(specs) > 1:
            axes.yaxis.label.set_visible(True)
            axes.xaxis.label.set_visible(True)
    for legend in list(fig.legends):  # the number of its columns is fixed when it is made
        entries = legend.legend_handles, [text.get_text() for text in legend.get_texts()]
        look = {"fontsize": legend.get_texts()[0].get_fontsize(), "frameon": legend.get_frame_on()}
        legend.remove()
        fig.legend(*entries, loc="outside upper center", ncols=1 if len(entries[0]) > 2 else 2, **look)
    fig.set_size_inches(NARROW, max(2.6, 0.85 * height / rows) * len(specs))
    fig.canvas.draw()
    for axes in fig.axes:
        axes.set_xlabel(textwrap.fill(axes.get_xlabel(), 40))
        if len(axes.containers) > 2:  # numbers above bars that stand close
            plt.setp(axes.texts, rotation=90)
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        if max(map(len, names), default=0) > 14 and not any("$" in name for name in names):
            axes.set_yticks(axes.get_yticks(), [textwrap.fill(name, 14) for name in names])
        ticks = [tick for tick in axes.get_xticklabels() if tick.get_text()]
        boxes = [tick.get_window_extent() for tick in ticks]
        if any(left.x1 > right.x0 for left, right in zip(boxes, boxes[1:])):
            plt.setp(ticks, rotation=30, ha="right")
    return True


@style()
def example_grid(dataset: GroupedDataset, per_group: int = 12, seed: int = 0) -> plt.Figure:
    """Show random images of each group, a row a group.

    Args:
        dataset: with images, uint8 (N, C, H, W).
        per_group: images in a row.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    counts = dataset.group_counts
    fig, rows = figure(7.5, 0.95 * len(counts), rows=len(counts), squeeze=False)
    for g, (axes,) in enumerate(rows):
        index = rng.choice(np.flatnonzero(dataset.group == g), per_group)
        axes.imshow(np.concatenate(list(dataset.images[index].transpose(0, 2, 3, 1)), axis=1))
        name = f"{dataset.group_names[g]}: {counts[g]:,} images"
        axes.set_title(name, loc="left", fontsize=RC["font.size"])
        axes.axis("off")
    return fig


@style()
def request_bars(split: ForgetSplit) -> plt.Figure:
    """Draw what a request takes: a bar for each group of D, divided into F and R, with their sizes.

    Args:
        split: of `gru_lite.forget_split`.
    """
    kept, gone = split.n_retain, split.n_train - split.n_retain
    fig, axes = figure(7.5, 0.9 + 0.42 * len(kept))
    hatched = {"color": RETRAIN, "hatch": "///", "edgecolor": "white", "lw": 0, "height": 0.62}
    axes.barh(split.group_names, kept, height=0.62, color=CEILING, label=f"R, retained: {kept.sum():,}")
    axes.barh(split.group_names, gone, left=kept, label=f"F, forgotten: {gone.sum():,}", **hatched)
    for row, (r, f) in enumerate(zip(kept, gone)):
        text = f"{r:,} in R" + f", {f:,} in F" * bool(f)
        axes.annotate(text, (r + f, row), (6, 0), textcoords="offset points", va="center", fontsize=10)
    axes.set(xlabel=f"samples of each group, D: {split.n_train.sum():,}", xlim=(0, 1.3 * split.n_train.max()))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=2)
    return fig


@style()
def group_bars(
    tables: dict,
    group_names: Sequence[str],
    highlight: Sequence[int] = (),
    ylabel: str = "test accuracy (%)",
    top: float | None = 108,
    form: str = "%.0f",
) -> plt.Figure:
    """Draw a bar for each group and model.

    Args:
        tables: {model: (Y, S) or (seeds, Y, S) accuracies, percent}; several seeds give 95% intervals.
        group_names: of the Y x S groups.
        highlight: ids of the groups whose names are bold, the forgotten ones.
        ylabel: what a bar shows, with its unit.
        top: where the axis ends; None: at the highest bar.
        form: of the numbers above the bars, which are left out where there are intervals.
    """
    fig, axes = figure(7.5, 3.4)
    rows = [
        (model, group, value)
        for model, table in tables.items()
        for seed in np.reshape(table, (-1, len(group_names)))
        for group, value in zip(group_names, seed)
    ]
    tidy = pd.DataFrame(rows, columns=["model", "group", "value"])
    colours = [ORIGINAL, RETRAIN, REWEIGHT, TOP_UP, CEILING, PURPLE, ORANGE][: len(tables)]
    sns.barplot(
        tidy, x="group", y="value", hue="model", palette=colours, saturation=1, gap=0.08, ax=axes,
        errorbar=student_interval, capsize=0.2, err_kws={"color": INK, "lw": 1.5}, legend=False,
    )  # fmt: skip
    if not tidy.duplicated(["model", "group"]).any():
        for bars in axes.containers:
            axes.bar_label(bars, fmt=form, fontsize=9, padding=1)
    for g in highlight:
        axes.get_xticklabels()[g].set_fontweight("bold")
    axes.set(xlabel="", ylabel=ylabel, ylim=(0, top))
    axes.grid(axis="x", visible=False)
    fig.legend(axes.containers, list(tables), loc="outside upper center", ncols=len(tables))
    return fig


@style()
def ratio_curves(
    table: pd.DataFrame,
    metric: str = "GA",
    rows: Sequence[tuple[str, str]] | None = None,
    axes: plt.Axes | None = None,
    ylabel: str | None = None,
) -> plt.Figure:
    """Draw the mean and 95% interval over seeds of one score against the forget ratio.

    Args:
        table: of `gru_lite.run`, a row a method, sampling, ratio and seed.
        metric: column of the score.
        rows: (method, sampling) of each curve, out of STYLES; None: those that the table has.
        axes: where to draw; None: in a new figure.
        ylabel: name of the score with its unit; None: the column's name, in percent.
    """
    of = dict(list(table.groupby(["method", "sampling"])))
    parts = {key: of[key].astype({"ratio": float}) for key in rows or STYLES if key in of}
    several = len({sampling for method, sampling in parts if sampling != "none" and method != "ceiling"}) > 1
    named = [part.assign(name=label(*key, several).replace("_", "-")) for key, part in parts.items()]
    tidy = pd.concat(named, ignore_index=True)
    if axes is None:
        _, axes = figure(6.5, 3.6)
    colours, markers = zip(*(STYLES[key] for key in parts))
    sns.lineplot(
        tidy, x="ratio", y=metric, hue="name", style="name", palette=list(colours), ax=axes,
        markers=list(markers), dashes=False, lw=1.8, mew=0, ms=8,
        errorbar=student_interval, err_kws={"alpha": 0.15, "lw": 0},
    )  # fmt: skip
    axes.set(xlabel="share of the group that is forgotten", xticks=sorted(tidy["ratio"].unique()))
    axes.set_ylabel(ylabel or f"{metric} (%)", visible=True)  # seaborn hides it on shared axes
    axes.legend()
    return axes.figure


@style()
def paired_dots(differences: dict, xlabel: str, lines: dict[str, float] | None = None) -> plt.Figure:
    """Draw a row a comparison: a dot a seed, and under them the mean with its 95% interval.

    Args:
        differences: {name: (seeds,) differences in points}, or other values of which each seed has one.
        xlabel: what the values are, with their unit.
        lines: {name: x} of vertical lines; None: one at zero.
    """
    fig, axes = figure(7, 0.7 + (0.55 if len(differences) < 8 else 0.36) * len(differences))
    rows = [(value, y - 0.12, y + 0.16) for y, values in enumerate(differences.values()) for value in values]
    tidy = pd.DataFrame(rows, columns=["value", "of dots", "of means"])
    place = {"data": tidy, "x": "value", "orient": "h", "native_scale": True, "ax": axes}
    sns.stripplot(y="of dots", jitter=False, color=REWEIGHT, alpha=0.6, **place)
    sns.pointplot(
        y="of means", color=INK, linestyle="none", marker="|", ms=14,
        errorbar=student_interval, capsize=0.25, err_kws={"lw": 1.8}, **place,
    )  # fmt: skip
    for name, x in (lines or {"": 0}).items():
        axes.axvline(x, color=INK, lw=1, ls="--")
        axes.annotate(name, (x, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=9)
    axes.set_yticks(range(len(differences)), differences)
    axes.set(xlabel=xlabel, ylabel="", ylim=(len(differences) - 0.5, -0.5))
    return fig


@style()
def heat_map(table: pd.DataFrame, limit: float, form: str = "+.1f") -> plt.Figure:
    """Draw a table of differences as coloured numbers: blue is negative, white is zero, orange is positive.

    Args:
        table: differences; its index and columns are shown.
        limit: the difference, in the table's unit, from which on the colour stays the same.
        form: of the numbers.
    """
    fig, axes = figure(6.5, 0.6 + 0.36 * len(table))
    colours = sns.blend_palette([CEILING, "white", ORANGE], as_cmap=True)  # light enough for dark numbers
    sns.heatmap(
        table, vmin=-limit, vmax=limit, cmap=colours, cbar=False, linewidths=1, ax=axes,
        annot=True, fmt=form, annot_kws={"color": INK, "fontsize": 9},
    )  # fmt: skip
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0, rotation=0)
    return fig


@style()
def miu_schematic() -> plt.Figure:
    """Draw the steps of an epoch of MIU: what critics read, what learns, is held, is raised or lowered."""
    fig, axes = figure(8.8, 4.2, columns=3)
    learns = {"fc": "white", "ec": REWEIGHT, "lw": 3}
    held = {"fc": "white", "ec": INK, "lw": 1, "ls": "--"}
    plain = {"fc": "none", "ec": "none"}

    def box(x, y, text, look):
        look = look | {"boxstyle": "round,pad=0.35"}
        return axis.text(x, y, text, bbox=look, ha="center", va="center", linespacing=1.3)

    def arrows(*boxes):
        for start, end in zip(boxes, boxes[1:]):
            look = {"arrowstyle": "-|>", "color": INK}
            look |= {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
            axis.annotate("", end.get_position(), start.get_position(), arrowprops=look)

    def column(x, mark, model, critic):
        return (
            box(x, 0.68, f"model θ{mark}", model),
            box(x, 0.4, f"critic φ{mark}\nreads z{mark}, g", critic),
        )

    for axis, title in zip(axes, ("1. Tune the critics", "2. Forget", "3. Retain")):
        axis.set(title=title, xlim=(0, 1), ylim=(0, 1))
        axis.set_axis_off()
    axis = axes[0]
    data = box(0.5, 0.93, "batch of D", plain)
    for x, mark in ((0.26, ""), (0.76, "₀")):
        arrows(data, *column(x, mark, held, learns), box(x, 0.08, f"raise I{mark}", plain))
    axis = axes[1]
    data = box(0.5, 0.93, "batch of F", plain)
    arrows(data, *column(0.5, "", learns, held), box(0.5, 0.08, "lower the score (1)", plain))
    axis = axes[2]
    data = box(0.5, 0.93, "batch of R, with weights", plain)
    lowered = box(0.5, 0.08, "lower CE + λ (I − I₀)²", plain)
    model, critic = column(0.37, "", learns, held)
    arrows(data, model, critic, lowered)
    arrows(data, *column(0.82, "₀", held, held), lowered)
    arrows(model, box(0.06, 0.4, "CE", plain), lowered)
    looks = {"learns in this step": learns, "held": held}
    marks = [plt.Rectangle((0, 0), 1, 1, **look) for look in looks.values()]
    fig.legend(marks, looks, loc="outside upper center", ncols=2)
    return fig
