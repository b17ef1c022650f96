"""Many groups ask at once: writes results/inkdigits_groups.csv, or with --steps results/inkdigits_steps.csv.

    python results/many_groups.py --seeds 16
    python results/many_groups.py --seeds 12 --steps 150 600 2400

The data are inkdigits_edges, 20 groups of 420 or 120 images, 131 numbers for each. The model is an mlp with
one hidden layer of 64 units. It is trained for 12 epochs in batches of 256 at the learning rate 0.2, which
takes a third of a second and ends at about the same accuracies as the defaults.
Each seed has its own random order of the groups, and a request is of the first 1, 3, 9 or 15 of them. A row
for each request, weights and seed:

    even      each group loses the same share, seven ratios
    uneven a, uneven b     each group has a ratio of its own, drawn from the seven
    weights   0.9 as in `even`, with weights between and beyond those of REWEIGHT
    steps     0.9 as in `even`, with as many optimiser steps as a training on all data
    top up    0.05 and 0.9 as in `even`, where each sample is seen once in a pass, and then drawn again
    whole     ratio 1; the groups that remain share the weight of those that are gone
    none      the original

`power` p is that of the weights (n_D / n_R)^p: 0 is plain retraining, 1 is REWEIGHT. Samples are drawn with
replacement unless p is 0. `acc_y_s` is the test accuracy of a group, in percent, and `ess` the effective
sample size of the weights. With --steps, fine-tuning forgets 90% of each of nine groups with so many steps.
What is finished is kept in --work, so a run that was stopped continues.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite.experiment.options import RunOptions
from gru_lite.experiment.store import record
from gru_lite.seeding import stream

OUT = Path(__file__).with_name("inkdigits_groups.csv")
SIZES, RATIOS = (1, 3, 9, 15), ("0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95")


def requests(seed, n_sensitive=4, n_groups=20):
    """Yield (name, groups, ratio of each group, power of the weights)."""
    order = [divmod(int(g), n_sensitive) for g in stream(seed, "order of groups").permutation(n_groups)]
    yield "none", [], [], 0
    for size in SIZES:
        for ratio in RATIOS:
            for power in (0, 1):
                yield "even", order[:size], [ratio] * size, power
    for size in SIZES[1:]:
        for k, name in enumerate(("uneven a", "uneven b")):
            drawn = stream(seed, "uneven", size, k).choice(RATIOS, size).tolist()
            for power in (0, 1):
                yield name, order[:size], drawn, power
    for size in (1, 9):
        for power in (0.5, 1.5):
            yield "weights", order[:size], ["0.9"] * size, power
    for size in (9, 15):
        yield "steps", order[:size], ["0.9"] * size, 1
    for ratio in ("0.05", "0.9"):
        yield "top up", order[:15], [ratio] * 15, 1
    for size in (1, 3):
        for power in (0, 1):
            yield "whole", order[:size], ["1"] * size, power


def one_seed(seed, is_trial=False):
    """Return the rows of one seed."""
    length = {"epochs": 1, "warmup_epochs": 0} if is_trial else {"epochs": 12}
    config = gru.TrainConfig(batch_size=256, lr=0.2, shift=0, **length)
    bench = gru.load("inkdigits_edges", seed=seed)
    fresh = gru.build_model("mlp", bench.train.n_targets, seed, n_features=bench.train.features.shape[1])
    asked = list(requests(seed))
    asked = asked[:: len(asked) // 8] if is_trial else asked
    return pd.DataFrame([one_training(bench, fresh, config, request, seed) for request in asked])


def one_training(bench, fresh, config, request, seed):
    """Return the row of one request."""
    name, groups, ratios, power = request
    train, row = bench.train, {"request": name, "asked": len(groups)}
    row |= {"groups": " ".join(f"{y},{s}" for y, s in groups), "ratios": " ".join(ratios)}
    if not groups:
        split = gru.forget_split(train, bench.default_groups, "0.9", seed)  # a score needs one
        model = gru.fit(fresh, train, config=config, seed=seed)
        ess = len(train)
    else:
        split = gru.forget_split(train, groups, ratios, seed)
        weights = gru.reweight(split, "renormalise") ** power
        ess = gru.effective_sample_size(weights)
        all_steps = -(-len(train) // config.batch_size)
        steps = all_steps if name in ("steps", "top up") else -(-len(split.retain) // config.batch_size)
        model = gru.fit(
            fresh, train, indices=split.retain, weights=weights if power else None, config=config,
            sampling="top_up" if name == "top up" else None, steps_per_epoch=steps, seed=seed,
        )  # fmt: skip
    logits = gru.predictions(model, bench)
    scores = gru.accuracies(logits, bench, split)
    if not groups:
        scores = scores | {"RA": np.nan, "UA": np.nan, "GA": np.nan}
    right = logits.test.argmax(axis=1) == bench.test.target
    table = gru.accuracy_table(right, bench.test.target, bench.test.sensitive)
    row |= {"power": power, "seed": seed, "retained": len(split.retain) if groups else len(train)}
    row |= {"ess": round(ess, 1)} | {what: round(value, 2) for what, value in scores.items()}
    return row | {f"acc_{y}_{s}": round(value, 2) for (y, s), value in np.ndenumerate(table)}


def with_steps(counts, seeds, work):
    """Return the tables of fine-tuning with so many steps, one below the other."""
    nine = tuple(f"{y},{s}" for y in range(3) for s in range(3))
    tables = []
    for steps in counts:
        configs = work / f"steps_{steps}.json"
        epochs = max(5, -(-steps // 37))  # a pass over R has 38 steps
        configs.write_text(json.dumps({"finetune": {"lr": 0.095, "steps": steps, "epochs": epochs}}))
        options = RunOptions(
            benchmark="inkdigits_edges", groups=nine, ratio=("0.9",), methods=("finetune",), seeds=seeds,
            configs=configs, out=work / f"steps_{steps}",
        )  # fmt: skip
        tables.append(gru.run(options).table.assign(steps=steps))
    return pd.concat(tables, ignore_index=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--trial", action="store_true", help="a few requests, one epoch: not to be recorded")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="keeps finished seeds")
    parser.add_argument("--steps", type=int, nargs="+", default=[], help="of fine-tuning, see above")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.out = options.out or (OUT.with_name("inkdigits_steps.csv") if options.steps else OUT)
    if options.trial and options.out == OUT:
        parser.error("a trial run must not replace the record: give --out")
    work = options.work / "many_groups"
    work.mkdir(parents=True, exist_ok=True)
    if options.steps:
        table = with_steps(options.steps, options.seeds, work)
        counts = " ".join(map(str, options.steps))
        command = f"python results/many_groups.py --seeds {options.seeds} --steps {counts}"
        return record(table, options.out, command)
    parts = []
    for seed in range(options.seeds):
        file = work / f"s{seed}.csv"
        if not file.is_file():
            one_seed(seed, options.trial).to_csv(file, index=False)
            print(f"seed {seed}", flush=True)
        parts.append(pd.read_csv(file, dtype={"groups": str, "ratios": str}, keep_default_na=False))
    table = pd.concat(parts, ignore_index=True)
    record(table, options.out, f"python results/many_groups.py --seeds {options.seeds}")


if __name__ == "__main__":
    main()
