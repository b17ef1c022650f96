"""What missing and wrong group labels cost: writes results/group_labels.csv.

    python results/group_labels.py --seeds 10

Whole curves take hundreds of retrainings, so the model is small: one hidden layer of 64 units (`mlp`), which
reads the pictures of waterdigits_large as 131 numbers: the strength of horizontal and of vertical edges on a
grid of 8 x 8, and the mean colour. A retraining takes less than a second. Group (1, 0), ratio 0.9.

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
Methods have their default configurations. Finished seeds are kept in --work, so the script continues where it
was stopped.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import observed
from gru_lite.experiment.store import record
from gru_lite.seeding import further_seed

BENCHMARK, RATIO, GROUP = "waterdigits_large", "0.9", 2
OUT = Path(__file__).with_name("group_labels.csv")
SCORES = ["RA", "UA", "TA", "EO", "GA"]
POINTS = {
    "flipped": (0.02, 0.05, 0.1, 0.2, 0.3, 0.4),
    "corrected": (0.02, 0.05, 0.1, 0.2, 0.3),
    "inferred": (0.5, 0.25, 0.1, 0.05, 0.0),
}
POINTS_OF_METHODS = {"flipped": (0.1, 0.3), "corrected": (0.1,)}
METHODS = ("finetune", "miu")


def edges(dataset):
    """Return float32 (N, 131): edge strengths of each picture on a grid of 8 x 8, and its mean colour."""
    pixels = dataset.images.astype(np.float32) / 255
    grey = np.pad(pixels.mean(axis=1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    pooled = [np.abs(each).reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)) for each in (across, down)]
    return np.concatenate(
        [each.reshape(len(each), -1) for each in pooled] + [pixels.mean(axis=(2, 3))], axis=1
    )


def as_numbers(bench):
    """Return the benchmark with 131 standardised numbers in the place of each picture."""
    parts = {name: edges(getattr(bench, name)) for name in ("train", "val", "test")}
    mean, spread = parts["train"].mean(axis=0), parts["train"].std(axis=0)
    made = {}
    for name, numbers in parts.items():
        of = getattr(bench, name)
        about = (of.target, of.sensitive, of.target_names, of.sensitive_names)
        made[name] = gru.GroupedDataset(*about, features=(numbers - mean) / spread, source=of.source)
    return gru.DatasetParts("edges", **made, default_groups=bench.default_groups)


def seen_as(train, split, labels, quality, features, seed):
    """Return (train set as it is seen, request in it, weights)."""
    if labels == "inferred":
        known = observed.hide(train.sensitive, quality, seed)
        guess = observed.infer(features, train.target, known, train.n_sensitive, seed)
        seen = gru.GroupedDataset(
            train.target, guess, train.target_names, train.sensitive_names, features=train.features
        )
    else:
        seen = observed.observe(train, observed.flips(quality), seed)
    request = gru.forget_split(seen, indices=split.forget)
    if labels == "corrected":
        return seen, request, observed.corrected_reweight(request, observed.flips(quality))
    return seen, request, gru.reweight(request)


def quality_of(train, split, seen):
    """Percent of right labels among the retained of the group's target, and among those seen as the group."""
    kept = split.retain[train.target[split.retain] == 1]
    true, guess = train.sensitive[kept], seen.sensitive[kept]
    if np.mean(true == guess) < 0.5:  # clusters have no names
        guess = 1 - guess
    as_group = guess == 0
    return 100 * np.mean(true == guess), 100 * np.mean(true[as_group] == 0) if as_group.any() else np.nan


def one_seed(seed, epochs=None):
    """Return the rows of one seed; `epochs` shortens the trainings, for a trial run."""
    bench = as_numbers(gru.load(BENCHMARK, seed=seed))
    train, config = bench.train, gru.TrainConfig(shift=0, **({"epochs": epochs} if epochs else {}))
    split = gru.forget_split(train, bench.default_groups, RATIO, seed)
    start = gru.build_model("mlp", train.n_targets, seed, n_features=train.features.shape[1])
    original = gru.fit(start, train, config=config, seed=seed)
    features, asked, rows = gru.extract_features(original, train), split.group[split.retain] == GROUP, []

    def add(method, labels, quality, model, weights=None, seen=train):
        drawn = 100 * (asked.mean() if weights is None else weights[asked].sum() / weights.sum())
        right, precision = quality_of(train, split, seen)
        scores = gru.accuracies(model, bench, split)
        about = {"method": method, "labels": labels, "quality": quality, "ratio": RATIO, "seed": seed}
        rows.append(about | scores | {"drawn": drawn, "right": right, "precision": precision})

    def retrain(weights, k=0):
        options = {"indices": split.retain, "weights": weights, "config": config}
        return gru.fit(start, train, seed=further_seed(seed, k), **options)

    def unlearn(method, seen, request, weights):
        function, default = gru.METHODS[method][0], gru.METHODS[method][1]()
        return function(original, seen, request, default, weights=weights, sampling="replacement", seed=seed)

    add("original", "none", 0, original)
    add("retrain", "none", 0, retrain(None))
    weights = gru.reweight(split)
    for k in range(3):
        add("retrain", "true", k, retrain(weights, k), weights)
    for method in METHODS:
        add(method, "true", 0, unlearn(method, train, split, weights), weights)
    for labels, qualities in POINTS.items():
        for quality in qualities:
            seen, request, weights = seen_as(train, split, labels, quality, features, seed)
            add("retrain", labels, quality, retrain(weights), weights, seen)
            for method in METHODS if quality in POINTS_OF_METHODS.get(labels, ()) else ():
                add(method, labels, quality, unlearn(method, seen, request, weights), weights, seen)
    table = pd.DataFrame(rows)
    references = table[(table["method"] == "retrain") & (table["labels"] == "true") & (table["quality"] < 2)]
    table["gap"] = 100 - (table[SCORES] - references[SCORES].mean()).abs().mean(axis=1)
    return table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=10, help="the first of them")
    parser.add_argument(
        "--work", type=Path, default=Path("runs") / "group_labels", help="keeps finished seeds"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    parts = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        file = options.work / f"seed{seed}.csv"
        if not file.is_file():
            one_seed(seed).to_csv(file, index=False)
            print(f"seed {seed} is done", flush=True)
        parts.append(pd.read_csv(file, dtype={"ratio": str}))
    table = pd.concat(parts)
    record(table, options.out, f"python results/group_labels.py --seeds {options.seeds}")
    means = table.groupby(["method", "labels", "quality"], sort=False)
    print(means[["drawn", "right", "precision", "GA", "EO", "TA", "gap"]].mean().round(1).to_string())


if __name__ == "__main__":
    main()
