"""Why MIU as published can diverge: writes results/waterbirds_example_stability.csv.

    python results/miu_stability.py --seeds 3 --whole 3

The published configuration of Waterbirds at ratio 0.5, on a generated tree of 512 training images, 64 pixels
(`write_example_tree`), from a ResNet-18 that was trained on it as published, for ten epochs from random
weights. Each picture is tinted a little in a colour of its class: from 512 plain ones such a model learns the
place alone, and gets half of the test set right. Four kinds of rows:

    part "original"  TA and UA of the model that MIU starts from.
    part "critic"  the 101 steps in which phi is tuned first, alone, on the same features and batches, for ten
                   initial critics: as released, and with one thing changed. `step` is where the loss was no
                   longer finite (empty: nowhere), `worst` the largest absolute loss before.
    part "method"  all of MIU, as released and with one of its fields as we correct it, or with all of them:
                   `step` is the epoch that diverged, TA and UA are those of the last epoch. Seed 0 tries all
                   variants, the next ones the released one and those that did not diverge with seed 0.
    part "together"  the same with a change that steadies the critics, alone and with clipping, which steadies
                   the steps of the model; on all seeds.

`length` is the mean squared length of the features.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import joblib
import pandas as pd
import torch
from PIL import Image

import gru_lite as gru
from gru_lite.data.waterbirds import write_example_tree
from gru_lite.experiment.store import record
from gru_lite.information import Critic, MovingAverage, exact_terms, sampled_terms
from gru_lite.methods.miu import MIUConfig
from gru_lite.recipes.configs import paper_config
from gru_lite.train import Sampler, Training, watching

OUT = Path(__file__).with_name("waterbirds_example_stability.csv")
COUNTS = ((340, 20), (32, 120))
TINTS, STRENGTH = ("#30a030", "#a03030"), 0.2
GROUP, RATIO, SIZE, EPOCHS, CRITICS = (1, 0), "0.5", 64, 10, 10
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
HALF, TENTH = {"critic_lr": PRESET.critic_lr / 2}, {"critic_lr": PRESET.critic_lr / 10}
CLIPPED = {"clip": True}
WHOLE = {
    "as released": {},
    **{f"but {name}": {name: value} for name, value in MIUConfig.CORRECTED.items() if "steps" not in name},
    "half the learning rate": HALF,
    "no forgetting": {"forget_epochs": 0},
    "all corrected": MIUConfig.CORRECTED,
}
TOGETHER = {
    "exact marginal, clipping": {"marginal": "exact"} | CLIPPED,
    "half the learning rate, clipping": HALF | CLIPPED,
    "a tenth of the learning rate": TENTH,
    "a tenth of the learning rate, clipping": TENTH | CLIPPED,
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


def scores_of(model, bench, split):
    """Return TA and UA, predicted as released."""
    found = gru.accuracies(gru.predictions(model, bench, precision="bfloat16"), bench, split)
    return {name: found[name] for name in ("TA", "UA")}


def write_tree(root, seed):
    """Write the pictures, and tint them."""
    write_example_tree(root, counts=COUNTS, val_count=20, test_count=60, seed=seed)
    for file in root.rglob("*.jpg"):
        picture = Image.open(file).convert("RGB")
        tint = Image.new("RGB", picture.size, TINTS[file.parent.name.endswith("Waterbird")])
        Image.blend(picture, tint, STRENGTH).save(file, quality=90)


def prepared(seed, folder):
    """Return (data, request, original) of a seed; the folder keeps what takes minutes."""
    torch.set_num_threads(1)
    root = folder / f"tree{seed}"
    if not root.is_dir():
        write_tree(root, seed)
    bench = gru.load("waterbirds", root, seed, image_size=SIZE)
    published = paper_config("waterbirds", "resnet18", (), None, "original", False)
    training = {"config": replace(published, epochs=EPOCHS), "seed": seed}
    training |= {"checkpoint": folder / f"original{seed}.safetensors", "keep_best": bench.val}
    original = gru.fit(gru.build_model("resnet18", 2, seed, weights="none"), bench.train, **training)
    return bench, gru.forget_split(bench.train, [GROUP], RATIO, seed), original


def one_seed(seed, folder, variants):
    """Return the rows of one seed, with these variants of the whole method. The folder keeps them."""
    finished = folder / f"seed{seed}{'' if variants else '-critic'}.csv"
    if finished.is_file():
        return pd.read_csv(finished)
    bench, split, original = prepared(seed, folder)
    batches = first_batches(original, bench, seed)
    law = torch.from_numpy(split.n_train / split.n_train.sum()).float()
    length = float(torch.cat([z for z, _ in batches]).square().sum(1).mean())
    rows = [{"part": "original", **scores_of(original, bench, split)}]
    for name, changes in ALONE.items():
        for critic in range(CRITICS):
            step, worst = tune(batches, law, critic, **changes)
            rows.append({"part": "critic", "variant": name, "critic": critic, "step": step, "worst": worst})
    rows += whole_method(original, bench, split, seed, "method", {name: WHOLE[name] for name in variants})
    pd.DataFrame(rows).assign(seed=seed, length=length).to_csv(finished, index=False)
    return pd.read_csv(finished)


def whole_method(original, bench, split, seed, part, variants):
    """Return a row for each of {variant: {field: value}}: TA and UA after MIU, or the epoch that diverged."""
    rows = []
    for name, changes in variants.items():
        row, epochs, config = {"part": part, "variant": name}, [], replace(PRESET, **changes)
        try:
            with watching(lambda epoch, model, epochs=epochs: epochs.append(epoch)):
                model = gru.unlearn("miu", original, bench.train, split, config, seed=seed)
            row |= scores_of(model, bench, split)
        except gru.DivergedError:
            row["step"] = len(epochs) + 1
        rows.append(row)
        print(f"seed {seed}: {row}", flush=True)
    return rows


def together(seed, folder):
    """Return the rows of one seed with the changes that answer the question. The folder keeps them."""
    finished = folder / f"together{seed}.csv"
    if finished.is_file():
        return pd.read_csv(finished)
    bench, split, original = prepared(seed, folder)
    rows = whole_method(original, bench, split, seed, "together", TOGETHER)
    pd.DataFrame(rows).assign(seed=seed).to_csv(finished, index=False)
    return pd.read_csv(finished)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--whole", type=int, default=5, help="seeds with the whole method, too")
    parser.add_argument("--work", type=Path, help="folder that keeps trees, originals and finished seeds")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(exist_ok=True)
        parts = [one_seed(0, folder, list(WHOLE)[: None if options.whole else 0])]
        ran = parts[0][parts[0]["part"] == "method"]
        again = ran.loc[ran["step"].isna() | (ran["variant"] == "as released"), "variant"].tolist()
        variants = [again if seed < options.whole else [] for seed in range(options.seeds)]
        each = (joblib.delayed(one_seed)(seed, folder, variants[seed]) for seed in range(1, options.seeds))
        parts += joblib.Parallel(options.jobs)(each)
        each = (joblib.delayed(together)(seed, folder) for seed in range(options.whole))
        parts += joblib.Parallel(options.jobs)(each)
    table = pd.concat(parts, ignore_index=True)
    columns = ["part", "variant", "seed", "critic", "length", "step", "worst", "TA", "UA"]
    table = table.reindex(columns=columns)
    record(
        table, options.out, f"python results/miu_stability.py --seeds {options.seeds} --whole {options.whole}"
    )
    found = table.assign(diverged=table["step"].notna()).groupby(["part", "variant"], sort=False)
    counts = {"diverged": ("diverged", "sum"), "of": ("diverged", "size")}
    print(found.agg(**counts, worst=("worst", "max"), TA_min=("TA", "min"), TA_max=("TA", "max")).to_string())


if __name__ == "__main__":
    main()
