"""One request or ten: writes results/waterdigits_stream.csv.

    python results/stream.py --seeds 30 --first-seed 10

90% of hole on land asks to be forgotten, in ten pieces in random order. When a piece comes, its images leave
the data for good: a method sees the new piece as F and what is left as R, and starts from the model that the
piece before left behind. REWEIGHT restores the groups as they were before the first piece. The model is an
mlp, and an image is what is left of it in 8 x 8 pixels, so that a seed takes seconds; `--model small_resnet`
takes the images as they are, and an hour and more. A row for each way and seed:

    no-op, reference, ceiling   the unchanged original, and two retrainings with REWEIGHT without all pieces
    once                        one call with all pieces, a sixth of retraining's optimiser steps
    each                        ten calls, one a piece, each with those steps
    each, shared work           ten calls that share the steps of one
    once, ten times the work    one call with the steps of ten
    retrain at 5                a retraining after five pieces, then five calls

The last three are of fine-tuning alone. `calls`, `steps` and `seconds` (of a CPU core) are sums over the
stream, without the original's training. `avg_gap` is to the reference of the seed. The methods have the
packaged values but a learning rate of 0.05: of 0.01, 0.05 and 0.1 it is the best of "once" for MIU on seed 0
of the mlp, and a point below 0.1 for fine-tuning.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite.experiment.store import record, write_text
from gru_lite.seeding import further_seed, stream

OUT = Path(__file__).with_name("waterdigits_stream.csv")
RATIO, PIECES, HALF = "0.9", 10, 5
SHARE, RATE = 6, 0.05  # a call has a sixth of retraining's steps; the learning rate of a call
METHODS = ("finetune", "miu")
COLUMNS = ["RA", "UA", "TA", "MIA", "EO", "GA", "worst_group", "MIA_auc"]


def coarse(data):
    """The images averaged to 8 x 8 pixels, as features of mean 0 and variance 1, about."""
    n = len(data)
    small = data.images.reshape(n, 3, 8, 4, 8, 4).mean(axis=(3, 5)).reshape(n, -1) / 255
    return replace(data, images=None, features=((small - 0.45) / 0.12).astype(np.float32))


def without(data, gone):
    """(the data set without the samples `gone`, which they were in it)."""
    kept = np.setdiff1d(np.arange(len(data)), gone)
    names = ("images", "features", "target", "sensitive", "source")
    arrays = {name: getattr(data, name)[kept] for name in names if getattr(data, name) is not None}
    return replace(data, **arrays), kept


def unlearn(method, model, data, gone, piece, config, seed):
    """One call: `piece` leaves the model, after `gone` has left the data."""
    here, kept = without(data, gone)
    split = gru.forget_split(here, indices=np.searchsorted(kept, piece))
    # Of the groups as they were before the first piece, which takes counts alone.
    weights = gru.group_weights(data.group_counts, split.n_retain)[here.group[split.retain]]
    function, _ = gru.METHODS[method]
    return function(model, here, split, config, weights=weights, sampling="replacement", seed=seed)


def one_seed(seed, method, name, epochs=15):
    """Return the rows of one seed and method."""
    bench = gru.load("waterdigits", seed=seed)
    if name == "mlp":
        bench = replace(bench, **{part: coarse(getattr(bench, part)) for part in ("train", "val", "test")})
    data, train = bench.train, gru.TrainConfig(epochs=epochs, warmup_epochs=min(2, epochs - 1))
    split = gru.forget_split(data, bench.default_groups, RATIO, seed)
    pieces = np.array_split(stream(seed, "pieces").permutation(split.forget), PIECES)
    width = {} if data.features is None else {"n_features": data.features.shape[1]}
    start = gru.build_model(name, 2, seed, **width)
    original = gru.fit(start, data, config=train, seed=seed)

    def retrained(number, n_pieces=PIECES):
        """(model, optimiser steps, CPU seconds) of a retraining without the first pieces."""
        request = gru.forget_split(data, indices=np.concatenate(pieces[:n_pieces]))
        of = {"indices": request.retain, "weights": gru.reweight(request)}
        begun = time.process_time()
        model = gru.fit(start, data, **of, config=train, seed=further_seed(seed, number))
        steps = train.epochs * -(-len(request.retain) // train.batch_size)
        return model, steps, time.process_time() - begun

    reference = retrained(0)
    yardstick = gru.score(reference[0], bench, split)
    full = reference[1]
    rows = []

    def add(way, who, model, n_calls, steps, seconds):
        scores = gru.score(model, bench, split)
        row = {"way": way, "method": who, "ratio": RATIO, "seed": seed, "calls": n_calls, "steps": steps}
        row |= {"avg_gap": gru.average_gap(scores, yardstick)} | {c: getattr(scores, c) for c in COLUMNS}
        rows.append(row | {"seconds": round(seconds, 2), "status": "ok"})
        print(f"seed {seed}: {way}, {who}: {row['avg_gap']:.1f}, {seconds:.1f} s", flush=True)

    config = replace(gru.tuned(method, "waterdigits"), lr=RATE, steps=round(full / SHARE))
    every, whole = (original, pieces, 0), (original, [split.forget], 0)
    ways = {"once": (*whole, config), "each": (*every, config)}
    if method == "finetune":
        add("no-op", "original", original, 0, 0, 0.0)
        for way, (model, steps, seconds) in {"reference": reference, "ceiling": retrained(1)}.items():
            add(way, "retrain", model, 1, steps, seconds)
        half, half_steps, half_seconds = retrained(2, HALF)
        more = replace(config, epochs=PIECES * config.epochs, steps=PIECES * config.steps)
        ways["each, shared work"] = (*every, replace(config, steps=round(config.steps / PIECES)))
        ways["once, ten times the work"] = (*whole, more)
        ways["retrain at 5"] = (half, pieces, HALF, config)
    for way, (model, asked, first, of_way) in ways.items():
        n_calls, steps, seconds = (1, half_steps, half_seconds) if first else (0, 0, 0.0)
        try:
            for k in range(first, len(asked)):
                gone = np.concatenate(asked[:k]) if k else split.forget[:0]
                begun = time.process_time()
                model = unlearn(method, model, data, gone, asked[k], of_way, further_seed(seed, k))
                seconds += time.process_time() - begun
                n_calls, steps = n_calls + 1, steps + of_way.steps
            add(way, method, model, n_calls, steps, seconds)
        except gru.DivergedError as error:
            about = {"way": way, "method": method, "ratio": RATIO, "seed": seed}
            rows.append(about | {"status": f"diverged: {error}"})
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=10)
    parser.add_argument("--model", choices=("mlp", "small_resnet"), default="mlp")
    parser.add_argument("--epochs", type=int, help="of a trial run, not to be recorded")
    parser.add_argument("--work", type=Path, default=Path("runs") / "stream", help="keeps finished seeds")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.out == OUT and (options.epochs or options.model != "mlp"):
        parser.error("a trial or another model must not replace the record: give --out")
    options.work.mkdir(parents=True, exist_ok=True)
    epochs, rows = options.epochs or 15, []
    for method in METHODS:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            file = options.work / f"{options.model}-{epochs}-{method}-{seed}.json"
            if not file.is_file():
                write_text(file, json.dumps(one_seed(seed, method, options.model, epochs)))
            rows += json.loads(file.read_text())
    table = pd.DataFrame(rows)
    first = ["way", "method", "ratio", "seed", "calls", "steps", "avg_gap", *COLUMNS, "seconds", "status"]
    command = f"python results/stream.py --seeds {options.seeds} --first-seed {options.first_seed}"
    command += f" --model {options.model}" * (options.model != "mlp")
    command += f" --epochs {epochs}" * (epochs != 15)
    record(table[first], options.out, command)
    means = table.groupby(["way", "method"], sort=False)["avg_gap"].agg(["mean", "std", "count"])
    print(means.round(2).to_string())


if __name__ == "__main__":
    main()
