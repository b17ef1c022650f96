"""Which released behaviour makes MIU diverge: writes results/waterbirds_example_stability.csv.

    python results/miu_stability.py --seeds 8

The published configuration of Waterbirds at ratio 0.5, on a generated tree of 512 training images, 64 pixels
(`write_example_tree`), from a ResNet-18 that was trained on it as published, from scratch. A row for each
variant and seed: the preset as it is, and with one released behaviour corrected. `status` says where a run
diverged; TA and UA are those of the last epoch, `last_good` those epochs that ended finite.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import joblib
import pandas as pd

import gru_lite as gru
from gru_lite.data.waterbirds import write_example_tree
from gru_lite.experiment.store import record
from gru_lite.methods.miu import MIUConfig
from gru_lite.recipes.configs import paper_config
from gru_lite.train import watching

OUT = Path(__file__).with_name("waterbirds_example_stability.csv")
COUNTS = ((340, 20), (32, 120))
GROUP, RATIO, SIZE = (1, 0), "0.5", 64
FIELDS = (
    "marginal", "clip", "phi0_features", "original_mode", "statistics", "average", "arithmetic", "precision",
    "loss_precision", "critic_augment", "lr_changes", "forget_batch_size", "critic_lr",
)  # fmt: skip


def variants():
    """Return {variant: config}: the preset, and one behaviour corrected at a time."""
    preset = published("miu", RATIO)
    corrected = MIUConfig.CORRECTED | {"forget_batch_size": 32, "critic_lr": preset.critic_lr / 10}
    rows = {"preset": preset}
    return rows | {f"but {field}": replace(preset, **{field: corrected[field]}) for field in FIELDS}


def published(method, ratio):
    """The published config of one run."""
    return paper_config("waterbirds", "resnet18", (), ratio, method, method == "miu")


def one_seed(seed, names, folder):
    """Return the rows of one seed."""
    root = folder / f"tree{seed}"
    if not root.is_dir():
        write_example_tree(root, counts=COUNTS, val_count=20, test_count=60, seed=seed)
    bench = gru.load("waterbirds", root, seed, image_size=SIZE)
    split = gru.forget_split(bench.train, [GROUP], RATIO, seed)
    start = gru.build_model("resnet18", 2, seed, weights="none")
    file = folder / f"original{seed}.safetensors"
    original = gru.fit(
        start,
        bench.train,
        config=published("original", None),
        seed=seed,
        checkpoint=file,
        keep_best=bench.val,
    )
    rows = [about(original, bench, split) | {"variant": "original", "seed": seed, "status": "ok"}]
    for name in names:
        row, epochs = {"variant": name, "seed": seed, "status": "ok"}, []
        try:
            with watching(lambda epoch, model, epochs=epochs: epochs.append(epoch)):
                model = gru.unlearn("miu", original, bench.train, split, variants()[name], seed=seed)
            row |= about(model, bench, split)
        except gru.DivergedError as error:
            row["status"] = f"diverged: {error}"
        rows.append(row | {"last_good": len(epochs)})
        print(rows[-1], flush=True)
    return rows


def about(model, bench, split):
    """TA and UA of a model, scored as released."""
    found = gru.accuracies(gru.predictions(model, bench, precision="bfloat16"), bench, split)
    return {name: found[name] for name in ("RA", "UA", "TA", "GA")}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--variants", nargs="+", choices=list(variants()), default=list(variants()))
    parser.add_argument("--work", type=Path, help="folder that keeps trees and originals")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(exist_ok=True)
        parts = joblib.Parallel(options.jobs)(
            joblib.delayed(one_seed)(seed, options.variants, folder) for seed in range(options.seeds)
        )
    table = pd.DataFrame([row for rows in parts for row in rows])
    columns = ["variant", "seed", "RA", "UA", "TA", "GA", "last_good", "status"]
    record(table[columns], options.out, f"python results/miu_stability.py --seeds {options.seeds}")
    diverged = table["status"].ne("ok").groupby(table["variant"], sort=False)
    print(diverged.agg(["sum", "size"]).join(table.groupby("variant")["TA"].agg(["mean", "min"])).round(1))


if __name__ == "__main__":
    main()
