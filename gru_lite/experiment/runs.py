"""Compute the runs of one experiment: in this process, in several, or on a Dask cluster.

Every run depends on its seed alone: killed at any moment and started again, or spread over other processes or
machines, an experiment ends with the same table on the same kind of CPU. (On a GPU, sums of a step are added
in no fixed order: the tables agree to rounding.) Under torchrun all processes execute each run together; the
first decides what is to do, and writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import warnings
from dataclasses import asdict

import joblib
import pandas as pd
from tqdm import tqdm

from ..data import DatasetParts, GroupedDataset
from ..errors import DivergedError
from ..groups import ForgetSplit, reweight
from ..methods import base_of, method_names, retains
from ..methods import method as find_method
from ..models import Classifier, build_model, load_model, save
from ..recipes.configs import as_record
from ..scores import accuracies, predictions, score
from ..seeding import further_seed
from ..train import TrainConfig, fit, watching
from ..train.parallel import barrier, is_main
from .cluster import alone, on_cluster
from .options import Options, RunOptions
from .plan import Plan, jobs_of, on_main, planned, requests
from .store import FAILED_SEARCH, Run, read_csv, read_run, reference_number, write_text
from .table import Results, make_table


def run(options: RunOptions, progress: bool = True) -> Results:
    """Compute what is asked for and is not there yet.

    Args:
        options: RunOptions.
        progress: show bars.

    Returns:
        Results: all rows of the folder; a run that diverged has its reason in the column `status`, and no
            scores.

    Raises:
        InputError: before anything is written.
    """
    seeds, ratios = requests(options)
    reference = options.reweight[0]
    further = [f"reference_{k}" for k in range(2, options.references + 1)]
    compared = [("retrain", "none"), *(("retrain", sampling) for sampling in options.reweight)]
    compared += [(name, reference) for name in ("ceiling", *further)]
    compared = [Run(*row, ratio, seed) for seed in seeds for ratio in ratios for row in compared]
    samplings = {m: ("none", *options.reweight) if retains(m) else ("none",) for m in options.methods}
    methods = [("original", "none"), *((m, sampling) for m in options.methods for sampling in samplings[m])]
    later = [Run(*row, ratio, seed) for seed in seeds for ratio in ratios for row in methods]
    first = [Run("original", "none", None, seed) for seed in seeds] + compared
    with planned(options, first + later, progress) as (plan, facts):
        execute(plan, first, "training", options, progress)
        execute(plan, later, "unlearning" if options.methods else "scoring", options, progress)
    results = Results(make_table(plan.out), facts)
    if options.curves:
        files = sorted(plan.out.glob("runs/*/curve.csv"))
        curves = pd.concat([read_csv(file) for file in files])
        write_text(plan.out / "curves.csv", curves.to_csv(index=False, lineterminator="\n"))
    write_text(plan.out / "table.csv", results.table.to_csv(index=False, lineterminator="\n"))
    return results


def execute(plan: Plan, runs: list[Run], label: str, options: Options, progress: bool) -> None:
    """Compute what is not there yet, in any order: here, in several processes, or on a cluster.

    Of the options, scheduler and jobs count; `label` stands beside the progress bar.
    """
    missing = on_main(lambda: [item for item in runs if not plan.is_done(item)])
    if not missing:
        return
    if options.scheduler:
        done = on_cluster(options.scheduler, _on_cluster, plan.absolute(), missing)
    else:
        jobs = min(jobs_of(options), len(missing))
        function = execute_run if jobs == 1 else _in_worker  # only a worker ends with its parent
        parallel = joblib.Parallel(jobs, batch_size=1, return_as="generator_unordered")
        done = parallel(joblib.delayed(function)(plan, item, os.getpid()) for item in missing)
    with warnings.catch_warnings():
        # joblib renews a worker that has grown, as a training makes it grow
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        quiet = not (progress and is_main())
        for _ in tqdm(done, desc=label, total=len(missing), unit="model", disable=quiet):
            pass


def execute_run(plan: Plan, item: Run, parent: int | None = None) -> None:
    """Compute one run and write it to its folder."""
    folder = plan.out / "runs" / item.name
    folder.mkdir(parents=True, exist_ok=True)
    bench = plan.data(item.seed)
    split = plan.split(bench, item.ratio, item.seed) if item.ratio else None
    n_forget = len(split.forget) if split else 0
    record = asdict(item) | {"config": as_record(plan.config(item)), "n_forget": n_forget}
    if item.trial is None and plan.recipe.is_failed(item.method, item.sampling != "none"):
        failed = {"scores": None, "seconds": None, "status": FAILED_SEARCH}
        write_text(folder / "run.json", json.dumps(record | failed, indent=1))
        return
    precision = plan.recipe.scored_in
    curve = _Curve(item, bench, split, precision) if plan.has_curve(item) else None
    scores = None
    try:
        with watching(curve.look) if curve else contextlib.nullcontext():
            model, seconds = _train(plan, item, bench, split, folder / "checkpoint.safetensors")
        if curve:
            write_text(folder / "curve.csv", curve.text())
        if plan.keeps_model(item) and is_main():
            save(model, folder / "model.safetensors")
        if split:
            logits = predictions(model, bench, precision=precision)
            scores = score(logits, bench, split).flat()
        record |= {"scores": scores, "seconds": round(seconds, 2), "status": "ok"}
    except DivergedError as error:
        if error.model is not None and is_main():
            save(error.model, folder / "last_good.safetensors")
        record |= {"scores": None, "seconds": None, "status": f"diverged: {error}"}
    write_text(folder / "run.json", json.dumps(record, indent=1))
    if is_main():
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    barrier()  # what comes next may read what this run has written


class _Curve:
    """The accuracies of a model that trains, after each epoch."""

    def __init__(self, item, bench, split, precision):
        self.bench, self.split, self.precision, self.rows = bench, split, precision, []
        self.about = {name: getattr(item, name) for name in ("method", "sampling", "ratio", "seed")}

    def look(self, epoch, model):
        try:
            logits = predictions(model, self.bench, precision=self.precision)
            found = accuracies(logits, self.bench, self.split)
        except DivergedError:  # what is not finite is no reason for a curve to stop the training
            found = {}
        self.rows.append(self.about | {"epoch": epoch} | found)

    def text(self):
        columns = [*self.about, "epoch", "RA", "UA", "TA", "EO", "GA"]
        return pd.DataFrame(self.rows).reindex(columns=columns).to_csv(index=False, lineterminator="\n")


def _train(plan, item, bench, split, checkpoint):
    """(model, seconds of training) of one run."""
    config = plan.config(item)
    if item.method == "original" and item.ratio:
        return _original(plan, item.seed), 0.0
    if base_of(item.method) in method_names():
        model = call(plan, item, config, _original(plan, item.seed), bench, split)
    else:
        model = call(
            plan, item, config, fresh_model(plan, bench.train, item.seed), bench, split,
            checkpoint=checkpoint, progress=item.name if plan.progress else False,
            keep_best=bench.val if plan.weights else None,
        )  # fmt: skip
    return model, model.training_seconds


def fresh_model(plan: Plan, data: GroupedDataset, seed: int) -> Classifier:
    """Return the model that a training of the plan starts from."""
    options = {"weights": plan.weights} if plan.weights else {}
    if data.features is not None:
        options["n_features"] = data.features.shape[1]
    return build_model(plan.recipe.model, data.n_targets, seed, **options)


def call(
    plan: Plan, item: Run, config: TrainConfig, start: Classifier, bench: DatasetParts,
    split: ForgetSplit | None, **training,
) -> Classifier:  # fmt: skip
    """Return what one run makes of a model: unlearning of an original, or training of a fresh one.

    `training` are further options of `fit`, for what is trained.
    """
    sampled = {"weights": None, "sampling": "none"}
    if item.sampling != "none":
        sampled = {"weights": reweight(split, plan.missing_group), "sampling": item.sampling}
    if base_of(item.method) in method_names():
        function, _ = find_method(item.method)
        return function(start, bench.train, split, config, **sampled, seed=item.seed)
    if split is not None:
        # Equal steps for every way of sampling: an epoch is as long as one over the retain set.
        steps = -(-len(split.retain) // config.batch_size)
        training |= {"indices": split.retain, "steps_per_epoch": steps, **sampled}
    # The ceiling and the further references differ from the first in the randomness of their training alone.
    seed = further_seed(item.seed, reference_number(item.method))
    return fit(start, bench.train, config=config, seed=seed, **training)


def _original(plan, seed):
    folder = plan.out / "runs" / Run("original", "none", None, seed).name
    status = read_run(folder / "run.json")["status"]
    if status != "ok":
        raise DivergedError(status.removeprefix("diverged: "))
    return load_model(folder / "model.safetensors")


def _in_worker(plan, item, parent):
    """The same in a worker process, which ends with its parent: a killed experiment must not go on."""
    done = threading.Event()

    def watch():
        while not done.wait(1.0):
            if os.getppid() != parent:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        execute_run(plan, item)
    finally:
        done.set()


def _on_cluster(plan, item):
    """The same in a Dask worker."""
    with alone:
        if not plan.is_done(item):  # by what a killed client left behind
            execute_run(plan, item)
