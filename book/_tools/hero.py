"""Draw the figure of the first page and the README from the recorded table: book/_static/hero.png."""

from pathlib import Path

import pandas as pd

import gru_lite as gru
from gru_lite import plots

table, _ = gru.read_record("waterdigits_requests")
rows = [("original", "none"), ("retrain", "none"), ("retrain", "replacement")]
# where nothing is forgotten, every curve starts from the original
start = table[(table["method"] == "original") & (table["ratio"] == "0.5")]
starts = [start.assign(method=method, sampling=sampling, ratio="0") for method, sampling in rows]
figure = plots.ratio_curves(pd.concat([table, *starts]), "GA", rows, ylabel="test accuracy of the group (%)")
figure.savefig(Path(__file__).parents[1] / "_static" / "hero.png", metadata={"Software": None})
