"""Draw the figure of the first page and the README from the recorded table: book/_static/hero.png."""

from pathlib import Path

import pandas as pd

import gru_lite as gru
from gru_lite import plots

# Ten seeds, and at 0.9 ten more.
names = ("waterdigits_requests", "waterdigits_fresh_seeds")
table = pd.concat(gru.read_record(name)[0] for name in names)
rows = [("original", "none"), ("retrain", "none"), ("retrain", "replacement")]
# where nothing is forgotten, every curve starts from the original
start = table[(table["method"] == "original") & (table["ratio"] == "0.5")]
starts = [start.assign(method=method, sampling=sampling, ratio="0") for method, sampling in rows]
# narrow, so that its letters can be read on a phone
figure, axes = plots.figure(5.2, 3.4)
plots.ratio_curves(pd.concat([table, *starts]), "GA", rows, axes, ylabel="test accuracy of the group (%)")
end = table["ratio"].max()
for method, sampling in rows:  # the result in numbers, at the end of its curve
    mean = gru.select(table, method, end, sampling)["GA"].mean()
    place = {"xytext": (9, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
    colour, _ = plots.STYLES[method, sampling]
    axes.annotate(f"{mean:.0f}%", (float(end), mean), color=colour, fontsize=13, fontweight="bold", **place)
# sharp on a dense screen, and wide enough for the preview of a link
figure.savefig(Path(__file__).parents[1] / "_static" / "hero.png", dpi=240, metadata={"Software": None})
