"""Every figure renders, on white ground, and shows the numbers it was given."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from gru_lite import plots  # noqa: E402


@pytest.fixture
def rendered():
    """Renders a figure to PNG, checks it, and returns its axes."""

    def render(figure):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        image = np.asarray(Image.open(buffer).convert("RGB"))
        height, width = image.shape[:2]
        assert [width, height] == pytest.approx(figure.get_size_inches() * 110, abs=1)
        assert all((image[y, x] == 255).all() for y in (0, -1) for x in (0, -1)) and (image < 200).any()
        return figure.axes[0]

    yield render
    plt.close("all")


def table():
    """GA of two methods at two ratios and three seeds."""
    rows = [{"method": method, "sampling": sampling, "ratio": ratio, "seed": seed, "GA": base + seed}
            for method, sampling, base in (("retrain", "", 20.0), ("retrain", "replacement", 40.0))
            for ratio in ("0.5", "0.9") for seed in range(3)]
    return pd.DataFrame(rows)


def test_example_grid(bench, rendered):
    axes = rendered(plots.example_grid(bench.train, per_group=5))
    assert axes.images[0].get_array().shape == (4 * 32, 5 * 32, 3)
    assert axes.get_yticklabels()[2].get_text() == "hole on land\n30 images"


def test_group_bars(rendered):
    names = ("a", "b", "c", "d")
    axes = rendered(plots.group_bars({"one": [[10, 20], [30, 40]], "two": [[50, 60], [70, 80]]}, names, highlight=[2]))
    assert [bar.get_height() for bar in axes.patches] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert [label.get_fontweight() for label in axes.get_xticklabels()] == ["normal", "normal", "bold", "normal"]
    axes = rendered(plots.group_bars({"seeds": np.array([[[10, 20], [30, 40]], [[30, 40], [50, 60]]])}, names))
    assert [bar.get_height() for bar in axes.patches] == [20, 30, 40, 50]


def test_ratio_curves(rendered):
    axes = rendered(plots.ratio_curves(table(), "GA"))
    curves = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert curves == {"retrain": [[0.5, 21], [0.9, 21]], "retrain + REWEIGHT": [[0.5, 41], [0.9, 41]]}
    only = rendered(plots.ratio_curves(table().query("seed == 0"), "GA", rows=[("retrain", "")]))  # one seed: no interval
    assert [line.get_label() for line in only.lines] == ["retrain"]


def test_paired_dots(rendered):
    axes = rendered(plots.paired_dots({"REWEIGHT": [1.0, 2, 3], "top-up": [4.0]}, "points"))
    assert axes.collections[0].get_offsets()[:, 0].tolist() == [1, 2, 3]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["REWEIGHT", "top-up"]
