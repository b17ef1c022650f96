"""How much of a method's spread is its own randomness: writes results/waterdigits_large_repeats.csv.

    gru-lite run --benchmark waterdigits_large --ratio 0.9 --methods all --first-seed 10 --seeds 30 \\
        --references 4 --save-models
    python results/repeats.py --seeds 10

Each method that looks at the retain set runs four times a seed, with the same original, request and
references (those of the first command) and other training randomness: order of the batches, augmentation,
critics. A row for each run; avg_gap is to the mean of the references. Repeat 0 is the run of the first
command.
"""

from pathlib import Path

import joblib
import pandas as pd
from miu_traps import BENCHMARK, COLUMNS, ENDING, RATIO, command_line, finished, numbers_of, shortened, start

import gru_lite as gru
from gru_lite.experiment.store import record

OUT = Path(__file__).with_name("waterdigits_large_repeats.csv")
METHODS = ("finetune", "eu_k", "l1_sparse", "salun", "scrub", "miu")
REPEATS = 4


def one_seed(seed, runs, epochs):
    """Return the rows of one seed; `epochs` shortens the unlearning, for a trial run."""
    bench, split, original, references = start(seed, runs)
    yardstick = gru.mean_reference([run["scores"] for run, _ in references])
    rows = []
    for method in METHODS:
        config = shortened(gru.tuned(method, BENCHMARK), epochs)
        for k in range(REPEATS):
            about = {"method": method, "repeat": k, "ratio": RATIO, "seed": seed, "status": "ok"}
            try:
                if k == 0:
                    scores = finished(runs / (method + ENDING.format(seed)))[0]["scores"]
                else:
                    model = gru.unlearn(
                        method, original, bench.train, split, config=config, seed=seed + 1000 * k
                    )
                    scores = gru.score(model, bench, split)
                rows.append(about | numbers_of(scores, yardstick))
            except gru.DivergedError as error:
                rows.append(about | {"status": f"diverged: {error}"})
        gaps = [round(row.get("avg_gap", float("nan")), 1) for row in rows[-REPEATS:]]
        print(f"seed {seed}: {method}: {gaps}", flush=True)
    return rows


def main():
    options, seeds, runs = command_line(__doc__, OUT, seeds=10)
    parts = joblib.Parallel(options.jobs)(
        joblib.delayed(one_seed)(seed, runs, options.epochs) for seed in seeds
    )
    table = pd.DataFrame([row for rows in parts for row in rows])
    first = ["method", "repeat", "ratio", "seed", "avg_gap", *COLUMNS, "status"]
    record(table[first], options.out, f"python results/repeats.py --seeds {options.seeds}")


if __name__ == "__main__":
    main()
