"""What missing and wrong group labels cost: writes results/group_labels.csv, or group_labels_network.csv.

    python results/group_labels.py --seeds 10
    python results/group_labels.py --seeds 10 --network

Whole curves take hundreds of retrainings, so the model is small: one hidden layer of 64 units (`mlp`), which
reads the pictures of waterdigits_large as 131 numbers: the strength of horizontal and of vertical edges on a
grid of 8 x 8, and the mean colour. A retraining takes less than a second. --network trains the network of the
other lessons on the pictures of waterdigits, for a few kinds of labels. Group (1, 0), ratio 0.9.

A row for each method, kind of labels and seed. Scores use the true groups; training, weights and MIU's
critics use those that are seen.

    labels "true"       as they are; of retrain, `quality` is the number of the reference
    labels "none"       no REWEIGHT; of the original, nothing is forgotten
    labels "flipped"    each sensitive attribute is wrong with probability `quality`; weights as they come
    labels "corrected"  the same labels, weights corrected for the known rate
    labels "inferred"   a share `quality` is known, the others are read off the original's features

gap is 100 minus the mean distance of RA, UA, TA, EO and GA from the mean of references 0 and 1; reference 2
is the ceiling. drawn is the share of draws that come from the true group that asked, right the share of right
labels among the retained samples of its target, precision that among those seen as the group, in percent.
The correction takes an estimated count below 1 as 1: in waterdigits_large that is one draw, seed 7 at 0.3.
Methods have their default configurations. Finished parts are kept in --work, so the script continues where it
was stopped.
"""

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import observed
from gru_lite.data.waterdigits import as_edges
from gru_lite.experiment.store import record
from gru_lite.methods import retains
from gru_lite.seeding import further_seed

RATIO, GROUP = "0.9", 2
OUT = Path(__file__).with_name("group_labels.csv")
SCORES = ["RA", "UA", "TA", "EO", "GA"]
FLIPPED = [("flipped", rate) for rate in (0.02, 0.05, 0.1, 0.2, 0.3)]
CORRECTED = [("corrected", rate) for rate in (0.05, 0.1, 0.2, 0.3)]
INFERRED = [("inferred", share) for share in (0.05, 0.01, 0.0)]
TRUE = [("true", k) for k in range(3)]
CURVE = [("true", 0), *FLIPPED[1:], ("corrected", 0.1), ("corrected", 0.3), *INFERRED]
POINTS = {
    "original": [("none", 0)],
    "retrain": [("none", 0), *TRUE, *FLIPPED, *CORRECTED, *INFERRED],
    **dict.fromkeys(filter(retains, gru.METHODS), CURVE),
}

NETWORK = {
    "original": [("none", 0)],
    "retrain": [("none", 0), *TRUE, ("flipped", 0.1), ("corrected", 0.1), ("inferred", 0.05)],
}


@cache
def start(seed, network):
    """Return (benchmark, split, config, model before any training, original) of one seed."""
    if network:
        bench, config = gru.load("waterdigits", seed=seed), gru.TrainConfig()
        fresh = gru.build_model("small_resnet", bench.train.n_targets, seed)
    else:
        bench, config = as_edges(gru.load("waterdigits_large", seed=seed)), gru.TrainConfig(shift=0)
        fresh = gru.build_model("mlp", bench.train.n_targets, seed, n_features=bench.train.features.shape[1])
    split = gru.forget_split(bench.train, bench.default_groups, RATIO, seed)
    return bench, split, config, fresh, gru.fit(fresh, bench.train, config=config, seed=seed)


def seen_as(labels, quality, seed, network):
    """Return (train set as it is seen, request in it, weights)."""
    bench, split, _, _, original = start(seed, network)
    seen = bench.train
    if labels == "inferred":
        known = observed.hide(seen.sensitive, quality, seed)
        features = gru.extract_features(original, seen)
        guess = observed.infer(features, seen.target, known, seen.n_sensitive, seed)
        seen = replace(seen, sensitive=guess)
    elif labels in ("flipped", "corrected"):
        seen = observed.observe(seen, observed.flips(quality), seed)
    request = gru.forget_split(seen, indices=split.forget)
    if labels == "corrected":
        return seen, request, observed.corrected_reweight(request, observed.flips(quality), floor=1)
    return seen, request, None if labels == "none" else gru.reweight(request)


def quality_of(train, split, seen):
    """Percent of right labels among the retained of the group's target, and among those seen as the group."""
    kept = split.retain[train.target[split.retain] == 1]
    true, guess = train.sensitive[kept], seen.sensitive[kept]
    if np.mean(true == guess) < 0.5:  # clusters have no names
        guess = 1 - guess
    as_group = guess == 0
    return 100 * np.mean(true == guess), 100 * np.mean(true[as_group] == 0) if as_group.any() else np.nan


def one_run(method, labels, quality, seed, network):
    """Return the row of one model."""
    bench, split, config, fresh, model = start(seed, network)
    seen, request, weights = seen_as(labels, quality, seed, network)
    if method == "retrain":
        options = {"indices": split.retain, "weights": weights, "config": config}
        number = quality if labels == "true" else 0
        model = gru.fit(fresh, seen, seed=further_seed(seed, number), **options)
    elif method != "original":
        function, defaults = gru.METHODS[method]
        model = function(model, seen, request, defaults(), weights=weights, sampling="replacement", seed=seed)
    asked = split.group[split.retain] == GROUP
    drawn = 100 * (asked.mean() if weights is None else weights[asked].sum() / weights.sum())
    right, precision = quality_of(bench.train, split, seen)
    row = {"method": method, "labels": labels, "quality": quality, "ratio": RATIO, "seed": seed}
    row |= gru.accuracies(model, bench, split)
    return row | {"drawn": drawn, "right": right, "precision": precision}


def with_gap(table):
    """Add the distance of each row from the mean of references 0 and 1 of its seed."""
    is_reference = (table["method"] == "retrain") & (table["labels"] == "true") & (table["quality"] < 2)
    yardstick = table[is_reference].groupby("seed")[SCORES].mean().loc[table["seed"], SCORES]
    return table.assign(gap=100 - (table[SCORES] - yardstick.to_numpy()).abs().mean(axis=1))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--network", action="store_true", help="the network, on pictures")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="keeps finished seeds")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    out = options.out or (OUT.with_stem(f"{OUT.stem}_network") if options.network else OUT)
    work = options.work / ("group_labels_network" if options.network else "group_labels")
    work.mkdir(parents=True, exist_ok=True)
    parts = []
    for seed in range(options.seeds):
        for method, points in (NETWORK if options.network else POINTS).items():
            file = work / f"{method}-s{seed}.csv"
            if not file.is_file():
                rows = [one_run(method, *point, seed, options.network) for point in points]
                pd.DataFrame(rows).to_csv(file, index=False)
                print(f"{method}, seed {seed}", flush=True)
            parts.append(pd.read_csv(file, dtype={"ratio": str}))
    table = with_gap(pd.concat(parts, ignore_index=True))
    command = f"python results/group_labels.py --seeds {options.seeds}"
    record(table, out, command + (" --network" if options.network else ""))
    means = table.groupby(["method", "labels", "quality"], sort=False)
    print(means[["drawn", "right", "precision", "GA", "EO", "TA", "gap"]].mean().round(1).to_string())


if __name__ == "__main__":
    main()
