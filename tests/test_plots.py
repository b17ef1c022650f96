"""Every figure renders, on white ground, and shows the numbers that it was given, under readable names."""

import io
import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import gru_lite as gru
from gru_lite import labels, plots

GROUPS = ("a", "b", "c", "d")
SEEDS = np.array([[[10.0, 20], [30, 40]], [[30, 41], [52, 60]], [[20, 20], [31, 90]]])  # (seeds, Y, S)
SIGNED = pd.DataFrame({"RA": [0.0, -3.14], "UA": [40.0, 1.0]}, index=["MIU", "SCRUB"])


def table():
    """GA of three methods at three ratios and three seeds."""
    bases = {("retrain", "none"): 20.0, ("retrain", "replacement"): 40.0, ("miu", "none"): 50.0}
    rows = [
        [*key, ratio, seed, base + seed**2 * float(ratio)]
        for key, base in bases.items()
        for ratio in ("0.1", "0.5", "0.9")
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=["method", "sampling", "ratio", "seed", "GA"])


DRAWN = {
    "figure": lambda bench: plots.figure()[0],
    "example_grid": lambda bench: plots.example_grid(bench.train, per_group=5),
    "request_bars": lambda bench: plots.request_bars(gru.forget_split(bench.train, [(1, 0)], "0.5", seed=0)),
    "group_bars": lambda bench: plots.group_bars({"one": SEEDS, "two": SEEDS + 1}, GROUPS),
    "ratio_curves": lambda bench: plots.ratio_curves(table()),
    "paired_dots": lambda bench: plots.paired_dots({"one": [1.0, 2, 4], "two": [3.0]}, "points"),
    "heat_map": lambda bench: plots.heat_map(SIGNED, 25),
    "miu_schematic": lambda bench: plots.miu_schematic(),
}


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer


@pytest.fixture
def rendered():
    """Renders a figure to PNG, checks it, and returns its axes."""

    def render(figure):
        image = np.asarray(Image.open(png(figure)).convert("RGB"))
        height, width = image.shape[:2]
        assert [width, height] == pytest.approx(figure.get_size_inches() * 110, abs=1)
        assert all((image[y, x] == 255).all() for y in (0, -1) for x in (0, -1)) and (image < 200).any()
        return figure.axes[0]

    yield render
    plt.close("all")


def ends(values):
    """(low, high) of the interval by hand."""
    mean, half = gru.mean_interval(values)
    return [pytest.approx(mean - half), pytest.approx(mean + half)]


@pytest.mark.parametrize("name", DRAWN)
def test_no_setting_changes_and_a_figure_is_the_same_twice(name, bench, rendered):
    before = matplotlib.rcParams.copy()
    rendered(DRAWN[name](bench))
    assert png(DRAWN[name](bench)).getvalue() == png(DRAWN[name](bench)).getvalue()
    assert matplotlib.rcParams == before


def test_every_function_that_draws_is_tested():
    ours = {name for name, value in vars(plots).items() if getattr(value, "__module__", "") == plots.__name__}
    shown = {"show", "_svg", "_stack"}  # see test_display.py
    assert ours - {"style", "student_interval"} - shown == set(DRAWN)


def test_the_style_holds_for_what_is_drawn_outside_of_it(rendered):
    fig, axes = plots.figure(columns=2)
    axes[1].plot([1, 1000])
    axes[1].set(yscale="log", title="title")
    rendered(fig)
    tick = axes[1].yaxis.get_major_ticks()[-1]
    assert (tick.label1.get_fontsize(), tick.label1.get_color()) == (11, plots.INK)
    assert to_hex(tick.gridline.get_color()) == plots.GRID and tick.gridline.get_visible()
    assert not axes[1].spines["top"].get_visible() and axes[1].title.get_color() == plots.INK


def test_student_interval():
    assert list(plots.student_interval([1, 2, 4])) == ends([1, 2, 4])
    assert np.isnan(plots.student_interval([1])).all()


def test_example_grid(bench, rendered):
    first = rendered(plots.example_grid(bench.train, per_group=5))
    assert first.images[0].get_array().shape == (32, 5 * 32, 3)
    titles = [axes.get_title(loc="left") for axes in first.figure.axes]
    assert len(titles) == 4 and titles[2] == "hole on land: 30 images"


def test_request_bars(rendered):
    names = [f"group {g}" for g in "abcd"]
    split = gru.ForgetSplit(*[None] * 5, np.array([10, 4, 2000, 7]), np.array([10, 1, 1500, 7]), names)
    axes = rendered(plots.request_bars(split))
    kept, gone = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert kept == [10, 1, 1500, 7] and gone == [0, 3, 500, 0]
    assert [bar.get_x() for bar in axes.containers[1]] == kept
    said = [text.get_text() for text in axes.texts]
    assert said == ["10 in R", "1 in R, 3 in F", "1,500 in R, 500 in F", "7 in R"]
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["R, retained: 1,518", "F, forgotten: 503"] and "D: 2,021" in axes.get_xlabel()


def test_group_bars(rendered):
    two = {"one": [[10, 20], [30, 40]], "two": [[50, 60], [70, 80]]}
    axes = rendered(plots.group_bars(two, GROUPS, highlight=[2]))
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights == [[10, 20, 30, 40], [50, 60, 70, 80]]
    assert [text.get_text() for text in axes.texts] == ["10", "20", "30", "40", "50", "60", "70", "80"]
    assert [text.get_fontweight() == "bold" for text in axes.get_xticklabels()] == [False, False, True, False]
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ["one", "two"]


def test_group_bars_over_seeds(rendered):
    axes = rendered(plots.group_bars({"seeds": SEEDS}, GROUPS, ylabel="points", top=None))
    assert [bar.get_height() for bar in axes.containers[0]] == pytest.approx(SEEDS.mean(axis=0).ravel())
    drawn = [[min(line.get_ydata()), max(line.get_ydata())] for line in axes.lines]
    assert drawn == [ends(values) for values in SEEDS.reshape(3, 4).T]
    assert (axes.get_ylabel(), len(axes.texts)) == ("points", 0)


def test_ratio_curves(rendered):
    axes = rendered(plots.ratio_curves(table(), "GA"))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["retrain", "retrain + REWEIGHT"]
    for base, line, band in zip((20, 40), axes.lines, axes.collections, strict=False):
        assert line.get_xdata().tolist() == [0.1, 0.5, 0.9]
        for ratio, mean in zip(*line.get_data()):
            values = base + ratio * np.array([0, 1, 4])
            assert mean == pytest.approx(values.mean())
            x, y = band.get_paths()[0].vertices.T
            assert [y[x == ratio].min(), y[x == ratio].max()] == ends(values)


def test_ratio_curves_names_samplings_where_there_are_several_and_takes_one_seed(rendered):
    top_up = table().query("method == 'retrain' and sampling != ''").assign(sampling="top_up")
    both = pd.concat([table(), top_up])  # an index with duplicates
    fig, axes = plots.figure(columns=2, sharey=True)
    plots.ratio_curves(both.query("seed == 0"), "GA", axes=axes[1], ylabel="group (%)")
    rendered(fig)
    names = ["retrain", "retrain + REWEIGHT (replacement)", "retrain + REWEIGHT (top-up)"]
    assert [text.get_text() for text in axes[1].get_legend().get_texts()] == names
    assert axes[1].get_ylabel() == "group (%)" and axes[1].yaxis.label.get_visible()


def test_paired_dots(rendered):
    values = [1.0, 2, 4]
    fig = plots.paired_dots({"REWEIGHT": values, "top-up": [4.0]}, "points", {"here": 3})
    axes = rendered(fig)
    assert [dots.get_offsets()[:, 0].tolist() for dots in axes.collections] == [values, [4]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["REWEIGHT", "top-up"]
    means, interval, of_one, line = [np.asarray(line.get_xdata(), dtype=float) for line in axes.lines]
    assert means.tolist() == pytest.approx([np.mean(values), 4])
    assert [np.nanmin(interval), np.nanmax(interval)] == ends(values) and np.isnan(of_one).all()
    assert line.tolist() == [3, 3] and axes.texts[0].get_text() == "here"


def test_heat_map(rendered):
    axes = rendered(plots.heat_map(SIGNED, 25))
    (mesh,) = axes.collections
    assert mesh.get_array().tolist() == SIGNED.to_numpy().tolist() and mesh.get_clim() == (-25, 25)
    assert [text.get_text() for text in axes.texts] == ["+0.0", "+40.0", "-3.1", "+1.0"]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(SIGNED.index)


@pytest.mark.parametrize("narrow", [False, True])
def test_miu_schematic_says_what_learns_and_no_box_covers_another(narrow, rendered):
    fig = plots.miu_schematic()
    assert not narrow or plots._stack(fig)
    rendered(fig)
    learning = [
        [
            text.get_text().split("\n")[0]
            for text in axes.texts
            if text.get_bbox_patch() and text.get_bbox_patch().get_linewidth() > 2
        ]
        for axes in fig.axes
    ]
    assert learning == [["critic φ", "critic φ₀"], ["model θ"], ["model θ"]]
    boxes = [
        text.get_bbox_patch().get_window_extent()
        for axes in fig.axes
        for text in axes.texts
        if text.get_text()
    ]
    boxes += [axes.title.get_window_extent() for axes in fig.axes] + [fig.legends[0].get_window_extent()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    width, height = fig.get_size_inches() * fig.dpi
    assert all(0 <= box.x0 and box.x1 <= width and 0 <= box.y0 and box.y1 <= height for box in boxes)
    assert min(text.get_fontsize() for text in fig.findobj(plt.Text) if text.get_text()) >= 11


# ------------------------------------------------ names


def test_names_are_unique_and_a_new_method_has_one():
    assert len(set(labels.NAMES.values())) == len(labels.NAMES)
    rows = [
        (method, sampling)
        for method in labels.NAMES
        for sampling in ("none", "replacement", "top_up")
        if method != "ceiling" or not sampling
    ]  # the ceiling is one row, whatever the sampling
    assert len({labels.label(*row, several=True) for row in rows}) == len(rows)
    assert labels.name_of("made_up_method") == "made up method"
    assert labels.name_of("reference_2") == "reference 2"
    assert labels.label("made_up_method", "replacement") == "made up method + REWEIGHT"
    assert labels.label("retrain", "top_up", several=True) == "retrain + REWEIGHT (top_up)"
    assert labels.label("ceiling", "replacement", several=True) == "ceiling (held-out ref.)"


def test_reported_names_are_those_of_the_papers_table():
    rows = {
        (method, sampling): labels.reported_name(method, sampling)
        for method in [*labels.NAMES, "made_up_method"]
        for sampling in ("none", "replacement", "top_up")
    }
    found = [name for name in rows.values() if name]
    assert sorted(found) == sorted(gru.reported()["method"].unique())
    assert rows["l1_sparse", "replacement"] == "L1-sparse+REWEIGHT" and rows["miu", "replacement"] == "MIU"
    assert rows["miu", "none"] == "MIU without REWEIGHT" and rows["original", "none"] == "Pretrain"


def test_names_load_nothing_heavy():
    code = "import sys, gru_lite.labels; print({'numpy', 'pandas', 'seaborn', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
