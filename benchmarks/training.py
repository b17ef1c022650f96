"""What the training engine gains, as ratios measured side by side in one process.

    python benchmarks/training.py

Each alternative is timed in turn, several rounds, and the median round is reported; absolute times are of
this machine.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

import gru_lite as gru
from gru_lite.experiment.store import provenance
from gru_lite.scores.attacks import FOREST_SIZES
from gru_lite.train import device_data

BATCH, SHIFT = 64, 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of the batches; 3 at most of the rest")
    parser.add_argument("--group", type=int, help="samples of each group, for a trial; default: WaterDigits'")
    parser.add_argument("--batches", type=int, default=50, help="that are made in a round")
    rounds, n, batches = vars(parser.parse_args()).values()
    torch.set_num_threads(1)
    bench = gru.waterdigits(0, ((n, n), (n, n)), n, n) if n else gru.load("waterdigits")
    print("; ".join(f"{key}: {value}" for key, value in provenance().items()))
    index = torch.randint(0, len(bench.train), (batches, BATCH), generator=torch.Generator().manual_seed(0))
    offsets = torch.randint(0, 2 * SHIFT + 1, (batches, BATCH, 2), generator=torch.Generator().manual_seed(0))
    data = device_data(bench.train, "cpu", SHIFT)
    padded = torch.nn.functional.pad(torch.from_numpy(bench.train.images), (SHIFT,) * 4, mode="reflect")

    def strided():
        for i, o in zip(index, offsets):
            data.take(i, o)

    def one_image_at_a_time():
        for i, o in zip(index, offsets):
            windows = [padded[n, :, a : a + 32, b : b + 32] for n, (a, b) in zip(i.tolist(), o.tolist())]
            torch.stack(windows).float().div_(127.5).sub_(1)

    def gathered():
        grid = torch.arange(32)
        for i, o in zip(index, offsets):
            rows, columns = o[:, :1] + grid, o[:, 1:] + grid
            image = padded[i]
            image = image.gather(2, rows[:, None, :, None].expand(-1, 3, -1, 36))
            image.gather(3, columns[:, None, None, :].expand(-1, 3, 32, -1)).float().div_(127.5).sub_(1)

    table(
        f"{batches} shifted batches of {BATCH}",
        {"strided view (ours)": strided, "gather": gathered, "image by image": one_image_at_a_time},
        rounds,
    )

    def training(precision="float32", threads=1, layout=torch.channels_last):
        model = gru.build_model("small_resnet", 2).to(memory_format=layout)
        config = gru.TrainConfig(epochs=1, warmup_epochs=0, precision=precision, threads=threads)
        return lambda: gru.fit(model, bench.train, config=config)

    table(
        "one epoch of training",
        {
            "float32, channels_last, 1 thread (default)": training(),
            "float32, contiguous": training(layout=torch.contiguous_format),
            "float32, 2 threads": training(threads=2),
            "bfloat16": training("bfloat16"),
        },
        min(3, rounds),
    )

    model = gru.build_model("small_resnet", 2)
    split = gru.forget_split(bench.train, [(1, 0)], 0.5)

    def five_passes():  # a pass for each of RA, UA, TA, the group table, and the attack's losses
        for dataset, part in (
            (bench.train, split.retain),
            (bench.train, split.forget),
            (bench.test, None),
            (bench.test, None),
        ):
            gru.predict(model, dataset, part)
        gru.predictions(model, bench)

    table(
        "predictions for all scores",
        {"one pass (ours)": lambda: gru.predictions(model, bench), "a pass for each": five_passes},
        min(3, rounds),
    )

    rng = torch.Generator().manual_seed(0)
    n_losses = {"retain": len(split.retain), "val": len(bench.val), "forget": len(split.forget)}
    losses = [torch.empty(n).exponential_(generator=rng).numpy() for n in n_losses.values()]

    def forests():
        train, is_member = np.concatenate(losses[:2])[:, None], np.repeat([1, 0], [*map(len, losses[:2])])
        for criterion in ("gini", "entropy"):
            forest = RandomForestClassifier(max(FOREST_SIZES), criterion=criterion, random_state=0)
            forest.fit(train, is_member).predict_proba(losses[2][:, None])

    table(
        "the paper's attack, " + ", ".join(f"{n} {name}" for name, n in n_losses.items()),
        {"nearest losses (ours)": lambda: gru.paper_attack(*losses), "two forests of 100 trees": forests},
        min(3, rounds),
    )


def table(title, alternatives, rounds):
    for run in alternatives.values():
        run()  # warm-up
    seconds = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    first = statistics.median(next(iter(seconds.values())))
    print(f"\n{title}")
    for name, values in seconds.items():
        print(
            f"  {name:45} {statistics.median(values) * 1000:8.1f} ms   ratio "
            f"{statistics.median(values) / first:5.2f}"
        )


if __name__ == "__main__":
    main()
