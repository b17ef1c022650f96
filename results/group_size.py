"""A group's accuracy when few of its images are left: writes results/waterdigits_group_size.csv.

    python results/group_size.py --seeds 10

Retraining with REWEIGHT on WaterDigits, with 9 and with 60 of the 180 images of the group that asks: a row
for each seed and size. Everything else is as in results/waterdigits_requests.csv, which has 162, 90 and 18 of
the same seeds: training, start, and the order in which the images of a seed leave. What is finished is kept
in runs/, so a run that was stopped continues.

`stayed` is the accuracy on the group's images that are left, which the model was trained on.
"""

import argparse
from pathlib import Path

import joblib
import pandas as pd

import gru_lite as gru
from gru_lite.experiment.store import record

OUT = Path(__file__).with_name("waterdigits_group_size.csv")
LEFT = {9: "0.95", 60: "2/3"}  # images of the group that are left: the ratio that leaves them


def one_training(benchmark, seed, left, epochs):
    """Return the row of one training."""
    bench = gru.load(benchmark, seed=seed)
    split = gru.forget_split(bench.train, bench.default_groups, LEFT[left], seed)
    config = gru.TrainConfig(epochs=epochs)
    start = gru.build_model("small_resnet", bench.train.n_targets, seed=seed)
    steps = -(-len(split.retain) // config.batch_size)
    model = gru.fit(
        start, bench.train, indices=split.retain, weights=gru.reweight(split), sampling="replacement",
        config=config, steps_per_epoch=steps, seed=seed,
    )  # fmt: skip
    scores, (y, s) = gru.score(model, bench, split).flat(), split.groups[0]
    known = gru.predict(model, bench.train, split.retain[split.group[split.retain] == 2 * y + s])
    return {
        "left": int(split.n_retain[2 * y + s]),
        "ratio": LEFT[left],
        "seed": seed,
        "GA": scores["GA"],
        **{name: value for name, value in scores.items() if name.startswith("acc_")},
        "stayed": 100 * float((known.argmax(axis=1) == y).mean()),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trial", action="store_true", help="few images, one epoch: not to be recorded")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="keeps what is finished")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.trial and options.out == OUT:
        parser.error("a trial run must not replace the record: give --out")
    trial = ("waterdigits_small", 1) if options.trial else ("waterdigits", 15)
    row = joblib.Memory(options.runs / "group_size", verbose=0).cache(one_training)
    rows = []
    for left in LEFT:
        for seed in range(options.seeds):
            rows.append(row(trial[0], seed, left, trial[1]))
            print(f"seed {seed}, {rows[-1]['left']} left: GA {rows[-1]['GA']:.1f}", flush=True)
    record(pd.DataFrame(rows), options.out, f"python results/group_size.py --seeds {options.seeds}")


if __name__ == "__main__":
    main()
