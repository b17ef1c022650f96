"""Why MIU as published can diverge: writes results/waterbirds_example_stability.csv.

    python results/miu_stability.py --seeds 5

The published configuration of Waterbirds at ratio 0.5, on a generated tree of 512 training images, 64 pixels
(`write_example_tree`), from a ResNet-18 that was trained on it as published, from scratch. Two kinds of rows:

    part "critic"  the 101 steps in which phi is tuned first, alone, on the same features and batches, for ten
                   initial critics: as released, and with one thing changed. `step` is where the loss was no
                   longer finite (empty: nowhere), `worst` the largest absolute loss before.
    part "method"  all of MIU, as released and with one of its fields as we correct it, or with all of them:
                   `step` is the epoch that diverged, TA and UA are those of the last epoch.

`length` is the mean squared length of the features.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import joblib
import pandas as pd
import torch

import gru_lite as gru
from gru_lite.data.waterbirds import write_example_tree
from gru_lite.experiment.store import record
from gru_lite.information import Critic, MovingAverage, exact_terms, sampled_terms
from gru_lite.methods.miu import MIUConfig
from gru_lite.recipes.configs import paper_config
from gru_lite.train import Sampler, Training, watching

OUT = Path(__file__).with_name("waterbirds_example_stability.csv")
COUNTS = ((340, 20), (32, 120))
GROUP, RATIO, SIZE, CRITICS = (1, 0), "0.5", 64, 10
PRESET = paper_config("waterbirds", "resnet18", (), RATIO, "miu", True)
ALONE = {
    "as released": {},
    "average as a logarithm": {"linear": False},
    "without the average": {"rate": 1.0},
    "exact marginal": {"exact": True},
    "half the learning rate": {"lr": PRESET.critic_lr / 2},
    "half the features": {"scale": 0.5},
    "without momentum": {"momentum": 0.0},
}
WHOLE = {
    "as released": {},
    **{f"but {name}": {name: value} for name, value in MIUConfig.CORRECTED.items() if "steps" not in name},
    "half the learning rate": {"critic_lr": PRESET.critic_lr / 2},
    "no forgetting": {"forget_epochs": 0},
    "all corrected": MIUConfig.CORRECTED,
}


def tune(batches, law, seed, lr=PRESET.critic_lr, momentum=0.9, exact=False, rate=0.01, linear=True, scale=1):
    """Tune one critic; return the step at which its loss was not finite, or None, and the worst before."""
    net, draws = Critic(batches[0][0].shape[1], len(law), seed=seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=momentum)
    average, worst = MovingAverage(rate, linear), 0.0
    for step, (z, g) in enumerate(batches):
        z = scale * z
        if exact:
            terms = exact_terms(net.table(z), g, law.log())
        else:
            terms = sampled_terms(net(z, g), net(z, torch.randint(len(law), g.shape, generator=draws)))
        loss = average.loss(*terms)
        if not torch.isfinite(loss):
            return step + 1, worst
        worst = max(worst, abs(loss.item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return None, worst


@torch.no_grad()
def first_batches(original, bench, seed):
    """[(features, groups)] of the steps in which the critics are tuned first, as released."""
    group, sampler = torch.from_numpy(bench.train.group), {"steps": PRESET.first_steps, "name": "critic"}
    with Training(original, bench.train, PRESET, seed) as training:
        sampler = Sampler(bench.train, None, PRESET.batch_size, ragged=True, **sampler)
        drawn = training.draw(0, sampler, main=False, augment=True)
        return [(training.forward(batch)[0].clone(), group[batch.index]) for batch in drawn]


def one_seed(seed, folder, whole):
    """Return the rows of one seed; `whole`: of the complete method, too."""
    torch.set_num_threads(1)
    root = folder / f"tree{seed}"
    if not root.is_dir():
        write_example_tree(root, counts=COUNTS, val_count=20, test_count=60, seed=seed)
    bench = gru.load("waterbirds", root, seed, image_size=SIZE)
    split = gru.forget_split(bench.train, [GROUP], RATIO, seed)
    training = {"config": paper_config("waterbirds", "resnet18", (), None, "original", False), "seed": seed}
    training |= {"checkpoint": folder / f"original{seed}.safetensors", "keep_best": bench.val}
    original = gru.fit(gru.build_model("resnet18", 2, seed, weights="none"), bench.train, **training)
    batches = first_batches(original, bench, seed)
    law = torch.from_numpy(split.n_train / split.n_train.sum()).float()
    length = float(torch.cat([z for z, _ in batches]).square().sum(1).mean())
    rows = []
    for name, changes in ALONE.items():
        for critic in range(CRITICS):
            step, worst = tune(batches, law, critic, **changes)
            rows.append({"part": "critic", "variant": name, "critic": critic, "step": step, "worst": worst})
    for name, changes in WHOLE.items() if whole else ():
        row, epochs = {"part": "method", "variant": name}, []
        try:
            with watching(lambda epoch, model, epochs=epochs: epochs.append(epoch)):
                model = gru.unlearn(
                    "miu", original, bench.train, split, replace(PRESET, **changes), seed=seed
                )
            halves = gru.predictions(model, bench, precision="bfloat16")
            found = gru.accuracies(halves, bench, split)
            row |= {name: found[name] for name in ("TA", "UA")}
        except gru.DivergedError:
            row["step"] = len(epochs) + 1
        rows.append(row)
        print(f"seed {seed}: {row}", flush=True)
    return [{**row, "seed": seed, "length": length} for row in rows]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--whole", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--work", type=Path, help="folder that keeps trees and originals")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(exist_ok=True)
        each = (joblib.delayed(one_seed)(seed, folder, options.whole) for seed in range(options.seeds))
        parts = joblib.Parallel(options.jobs)(each)
    table = pd.DataFrame([row for rows in parts for row in rows])
    columns = ["part", "variant", "seed", "critic", "length", "step", "worst", "TA", "UA"]
    table = table.reindex(columns=columns)
    record(table, options.out, f"python results/miu_stability.py --seeds {options.seeds}")
    found = table.assign(diverged=table["step"].notna()).groupby(["part", "variant"], sort=False)
    counts = {"diverged": ("diverged", "sum"), "of": ("diverged", "size")}
    print(found.agg(**counts, worst=("worst", "max"), TA_min=("TA", "min"), TA_max=("TA", "max")).to_string())


if __name__ == "__main__":
    main()
