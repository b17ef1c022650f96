"""One experiment: originals, references and methods over seeds and ratios, in a results folder that can be continued::

    OUT/recipe.json   what the folder's runs share; another recipe is refused
    OUT/runs/NAME/    one run: run.json (scores, seconds, configuration) once it is finished, its model where that is
                      kept, and a checkpoint while it trains
    OUT/table.csv     a row for each method, reweight, ratio and seed; made from the runs, never edited
                      (of a tuning: tuning.csv and chosen.json, see `gru_lite.tuning`)

Every file appears whole or not at all, and every run depends on its seed alone: killed at any moment and started
again, or spread over other processes or machines, an experiment ends with the same table. Under torchrun all processes
execute each run together; the first decides what is to do, and writes.
"""

import hashlib
import json
import os
import platform
import subprocess
import threading
import time
import warnings
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from . import __version__, presets
from .configs import make_config, read_configs, retains, trial_values, tuned
from .data import GROUP_SETS, load, load_manifest
from .data.downloads import VIEW, warn_of_counts
from .data.manifest import train_positions
from .distributed import barrier, broadcast, is_main, world_size
from .errors import DivergedError, InputError
from .groups import forget_split
from .methods import METHODS
from .models import build_model, load_model, save
from .options import LISTED, PAPER_METHODS, available_cores
from .reweighting import reweight
from .scores import GAP_METRICS, Scores, average_gap, mean_reference, score, tug_of_war
from .train import TrainConfig, as_record, fit

MODEL = "small_resnet"


@dataclass(frozen=True)
class Run:
    """One trained model: what it is (`method`, `sampling` or None without REWEIGHT), of which ratio and seed."""

    method: str
    sampling: str | None
    ratio: str | None  # None: the original, which no request touches
    seed: int
    trial: int | None = None  # of a tuning: which configuration of the method

    @property
    def name(self):
        parts = [self.method, self.sampling, f"r{self.ratio}" if self.ratio else None, f"s{self.seed}",
                 f"t{self.trial}" if self.trial is not None else None]
        return "-".join(part for part in parts if part)


def run(options, progress=True):
    """Compute what `options` (RunOptions) ask for and is not there yet.

    Returns:
        The table as a DataFrame; a run that diverged has its reason in the column `status`, and no scores.

    Raises:
        InputError: before anything is written.
    """
    seeds, ratios = requests(options)
    reference = options.reweight[0]
    compared = [("retrain", None), *(("retrain", sampling) for sampling in options.reweight), ("ceiling", reference),
                *((f"reference_{k}", reference) for k in range(2, options.references + 1))]
    methods = [("original", None), *((method, sampling) for method in options.methods
                                     for sampling in (None, *options.reweight) if sampling is None or retains(method))]
    first = [Run("original", None, None, seed) for seed in seeds] + [
        Run(*row, ratio, seed) for seed in seeds for ratio in ratios for row in compared]
    later = [Run(*row, ratio, seed) for seed in seeds for ratio in ratios for row in methods]
    out, split, call = prepare(options, first + later)
    execute(options, out, first, later, progress, call)

    table = make_table(out)
    names = [next(name for name in split.group_names if name.startswith(f"{pair} ")) for pair in split.groups]
    table.attrs["groups"] = f"group{'s' * (len(names) > 1)} {'; '.join(names)}"
    if options.dataset:
        if _group_set(options):
            table.attrs["groups"] = f"each of {len(names)} groups"
        default = _data(options, options.first_seed, call).default_groups
        table.attrs["default_groups"] = set(split.groups) == set(map(tuple, default))
        asked = (("--epochs", options.epochs, None), ("--image-size", options.image_size or VIEW, VIEW),
                 ("--weights", options.weights, "imagenet"))
        table.attrs["trial"] = ", ".join(f"{flag} {value}" for flag, value, usual in asked if value != usual)
    if options.preset == "paper":
        table.attrs["not_in_paper"] = [method for method in options.methods if method not in PAPER_METHODS]
    write_text(out / "table.csv", table.to_csv(index=False, lineterminator="\n"))
    return table


def prepare(options, runs):
    """Check the request and its runs, then claim the folder: (folder, one of the splits, a stamp of this call)."""
    if world_size() > 1 and (options.scheduler or (options.jobs or 1) > 1):
        raise InputError("under torchrun all processes train each model together: leave out --scheduler and --jobs")
    call = time.time_ns()
    return *_on_main(_prepare, options, runs, call), call


def _prepare(options, runs, call):
    for item in runs:
        _config_of(options, item)
    if options.record:
        _check_record(options.record)
    if options.scheduler:
        _client(options.scheduler).close()
    bench = _data(options, options.first_seed, call)
    warn_of_counts(bench)
    split = _check_request(options, bench)
    if options.dataset and options.weights == "imagenet":
        # its weights are downloaded by one process, or refused before anything is written
        build_model(options.model, bench.train.n_targets)
    out = Path(options.out or Path("runs") / (bench.name + ("-tune" if options.scored_on == "val" else "")))
    _claim_folder(out, _recipe(options, bench, split.groups))
    return out, split


def _on_main(function, *arguments):
    """What the first process makes of it, in every process; an error, too."""
    result = None
    if is_main():
        try:
            result = function(*arguments)
        except (InputError, OSError) as error:
            result = error
    result = broadcast(result)
    if isinstance(result, Exception):
        raise result
    return result


def requests(options):
    """The seeds and the ratios that are asked for."""
    return range(options.first_seed, options.first_seed + options.seeds), options.ratio or (LISTED,)


def execute(options, out, first, later, progress, call):
    """Compute what is not there yet: the runs `first`, in any order, then those that start from an original."""
    for label, runs in (("training", first), ("unlearning" if options.methods else "scoring", later)):
        missing = _on_main(lambda: [item for item in runs if not _is_done(options, out, item)])
        _execute_all(options, out, missing, label, progress and is_main(), call)


def make_table(out):
    """Build the table of a results folder from its finished runs, sorted by ratio, seed and method."""
    recipe = json.loads((Path(out) / "recipe.json").read_text())
    records = {}
    for file in sorted(Path(out).glob("runs/*/run.json")):
        record = read_run(file)
        if record["ratio"] is not None:
            key = (record["ratio"], record["seed"], record["method"], record["sampling"])
            records[key] = record
    rows = []
    for (ratio, seed, method, sampling), record in records.items():
        reference = records.get((ratio, seed, "retrain", recipe["reference"]))
        # the yardstick of avg_gap_refs: all references but, for a reference, itself; the ceiling is held out
        yardstick = [other["scores"] for (r, s, m, how), other in records.items()
                     if (r, s) == (ratio, seed) and other["scores"] and other is not record
                     and (m.startswith("reference_") or (m, how) == ("retrain", recipe["reference"]))]
        row = {"method": method, "reweight": sampling is not None, "sampling": sampling or "", "ratio": ratio, "seed": seed}
        scores = record["scores"]
        if scores is not None:
            row |= {name: getattr(scores, name) for name in GAP_METRICS}
            if reference and reference["scores"]:
                row |= {"avg_gap": average_gap(scores, reference["scores"]), "tow": tug_of_war(scores, reference["scores"]),
                        "share": round(record["seconds"] / reference["seconds"], 4)}
            if yardstick:
                row["avg_gap_refs"] = average_gap(scores, mean_reference(yardstick))
            row |= {name: value for name, value in scores.flat().items() if name not in GAP_METRICS}
        rows.append(row | {"n_forget": record["n_forget"], "seconds": record["seconds"], "status": record["status"]})
    columns = ["method", "reweight", "sampling", "ratio", "seed", *GAP_METRICS, "avg_gap", "avg_gap_refs", "tow", "EO_worst",
               "EO_paper", "worst_group", "MIA_auc", "MIA_auc_low", "MIA_auc_high"]
    table = pd.DataFrame(rows)
    groups = sorted(c for c in table.columns if c.startswith("acc_"))
    table = table.reindex(columns=columns + groups + ["n_forget", "seconds", "share", "status"])
    extra = sorted({m for m in table["method"] if m.startswith("reference_")}, key=_number)
    rank = {method: i for i, method in enumerate(["original", "retrain", *extra, "ceiling", *METHODS])}
    order = table.assign(rank=table["method"].map(rank), part=pd.to_numeric(table["ratio"], errors="coerce"))
    return table.loc[order.sort_values(["part", "seed", "rank", "sampling"]).index].reset_index(drop=True)


def requested(table, options):
    """Return the rows of a folder's table that `options` ask for: it may hold more, from earlier calls.

    All references of the folder are among them: the gaps of the other rows were measured against them.
    """
    seeds, ratios = requests(options)
    methods = {"original", "retrain", "ceiling", *options.methods}
    chosen = table["method"].isin(methods) | table["method"].str.startswith("reference_")
    chosen &= table["sampling"].isin(["", *options.reweight]) & table["seed"].isin(seeds)
    return table[chosen & table["ratio"].isin(ratios)]


def provenance(command=None):
    """Return where and with what something was computed, as a dict of short texts; no paths, users or host names."""
    import sklearn
    import torchvision

    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=Path(__file__).parent, capture_output=True,
                            text=True, check=False).stdout.strip()
    versions = {"python": platform.python_version(), "gru_lite": __version__, "torch": torch.__version__,
                "torchvision": torchvision.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
    about = {"command": command, "commit": commit or "unknown",
             "versions": " ".join(f"{name}={version}" for name, version in versions.items()),
             "device": device_name(), "date": pd.Timestamp.now(tz="UTC").strftime("%Y-%m-%d")}
    return {key: value for key, value in about.items() if value}


def device_name():
    """The GPU's name, or the CPU's and how many cores may be used."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{cpu_model()}, {available_cores()} cores"


def cpu_model():
    """The processor's name, as its system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def record(table, file, command):
    """Write a table as CSV below comment lines that say how it was made; `read_record` reads it back."""
    about = provenance(command) | {"seeds": f"{table['seed'].min()} to {table['seed'].max()}"}
    head = "".join(f"# {key}: {value}\n" for key, value in about.items())
    write_text(Path(file), head + table.to_csv(index=False, lineterminator="\n"))


def read_record(name):
    """Read a recorded table of the repository's folder results/: (DataFrame, dict of what its comment lines say)."""
    file = Path(__file__).parents[1] / "results" / f"{name}.csv"
    if not file.is_file():
        known = sorted(path.stem for path in file.parent.glob("*.csv"))
        raise InputError(f"there is no recorded table {name!r} in {file.parent}; there are: {', '.join(known) or 'none'}")
    lines = [line[2:].rstrip("\n").split(": ", 1) for line in open(file) if line.startswith("# ")]
    table = pd.read_csv(file, comment="#", dtype={"ratio": str, "sampling": str}, keep_default_na=True)
    return table.fillna({"sampling": ""}), dict(lines)


# One run, in whatever process it happens.


def _execute(options, out, item, call=None):
    """Compute one run and write it to its folder."""
    folder = out / "runs" / item.name
    folder.mkdir(parents=True, exist_ok=True)
    bench = _data(options, item.seed, call)
    split = _split(options, bench, item) if item.ratio else None
    record = asdict(item) | {"config": _config_record(options, item), "n_forget": len(split.forget) if split else 0}
    try:
        model, seconds = _train(options, out, item, bench, split, folder / "checkpoint.safetensors")
        if _keeps_model(options, item) and is_main():
            save(model, folder / "model.safetensors")
        scores = score(model, bench, split).flat() if split else None
        record |= {"scores": scores, "seconds": round(seconds, 2), "status": "ok"}
    except DivergedError as error:
        if error.model is not None and is_main():
            save(error.model, folder / "last_good.safetensors")
        record |= {"scores": None, "seconds": None, "status": f"diverged: {error}"}
    write_text(folder / "run.json", json.dumps(record, indent=1))
    if is_main():
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    barrier()  # what comes next may read what this run has written


def _execute_in_worker(parent, *arguments):
    """The same in a worker process, which ends with its parent: a killed experiment must not go on by itself."""
    done = threading.Event()

    def watch():
        while not done.wait(1.0):
            if os.getppid() != parent:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        _execute(*arguments)
    finally:
        done.set()


def _train(options, out, item, bench, split, checkpoint):
    """Return (model, seconds of training) of one run."""
    data, seed = bench.train, item.seed
    config = _config_of(options, item)
    weights = {"weights": options.weights} if options.dataset else {}
    start = build_model(options.model if options.dataset else MODEL, data.n_targets, seed, **weights)
    # The ceiling and the further references differ from the first in the randomness of their training alone.
    stream_number = 1 if item.method == "ceiling" else _number(item.method)
    common = {"config": config, "seed": seed + (stream_number << 32), "checkpoint": checkpoint}
    if options.dataset:
        common["keep_best"] = bench.val
    if item.method == "original":
        if item.ratio is None:
            model = fit(start, data, **common)
            return model, model.training_seconds
        return _original(out, seed), 0.0
    weights = reweight(split, options.missing_group) if item.sampling else None
    if item.method not in METHODS:
        # Equal steps for every way of sampling: an epoch is as long as one over the retain set.
        steps = -(-len(split.retain) // config.batch_size)
        model = fit(start, data, indices=split.retain, weights=weights, sampling=item.sampling or "replacement",
                    steps_per_epoch=steps, **common)
    else:
        method, _ = METHODS[item.method]
        model = method(_original(out, seed), data, split, config, weights=weights,
                       sampling=item.sampling or "replacement", seed=seed, val=bench.val)
    return model, model.training_seconds


def _number(method):
    """k of reference_k; 0 of anything else."""
    return int(method.removeprefix("reference_")) if method.startswith("reference_") else 0


def _original(out, seed):
    folder = out / "runs" / Run("original", None, None, seed).name
    status = read_run(folder / "run.json")["status"]
    if status != "ok":
        raise DivergedError(status.removeprefix("diverged: "))
    return load_model(folder / "model.safetensors")


def _config_of(options, item):
    """The TrainConfig, or the method's own config, of one run."""
    if options.dataset:
        config = _preset(options, item)
    elif item.method not in METHODS:
        config = TrainConfig()
    elif item.trial is not None:
        config = make_config(item.method, trial_values(item.method, item.trial))
    elif options.scored_on == "test" and options.configs:
        config = read_configs(options.configs)[item.method]
    else:
        config = tuned(item.method, options.benchmark) if options.benchmark else METHODS[item.method][1]()
    if options.epochs:  # a trial run; the warm-up must leave an epoch to train in
        epochs = min(config.epochs, options.epochs) if item.method in METHODS else options.epochs
        config = replace(config, epochs=epochs, warmup_epochs=min(config.warmup_epochs, epochs - 1))
    return replace(config, precision=options.precision, compile=options.compile)


def _preset(options, item):
    """The same for a data set: published, or ours with the values of --configs."""
    data = options.dataset, options.model
    if options.preset == "paper" and (item.method not in METHODS or item.method in PAPER_METHODS):
        return presets.paper(*data, options.groups, item.ratio, item.method, item.sampling is not None)
    if item.method in METHODS and options.configs:
        return read_configs(options.configs, lambda method: presets.corrected(*data, method))[item.method]
    return presets.corrected(*data, item.method)


def _config_record(options, item):
    """The same, as it reads in a record; that of a data set has every field."""
    config = _config_of(options, item)
    return json.loads(json.dumps(asdict(config) if options.dataset else as_record(config)))


def _execute_all(options, out, runs, label, progress, call):
    if not runs:
        return
    jobs = min(options.jobs or (1 if torch.cuda.is_available() else available_cores()), len(runs)) if world_size() == 1 else 1
    epochs = {item.name: _config_of(options, item).epochs if item.method != "original" or item.ratio is None else 1 for item in runs}
    finished = threading.Event()
    with tqdm(total=sum(epochs.values()), desc=label, unit="model" if label == "scoring" else "epoch", disable=not progress) as bar:

        def watch():  # the checkpoints tell how far each training is, in whichever process it runs
            waiting, done = dict(zip(runs, epochs.values())), 0
            while not finished.wait(1.0):
                for item in [r for r in waiting if _is_done(options, out, r)]:  # each finished record is read once
                    done += waiting.pop(item)
                bar.n = done + sum(_epochs_done(out, r) for r in waiting)
                bar.refresh()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            if options.scheduler:
                _execute_on_cluster(options, out, runs, call)
            elif jobs == 1:
                for item in runs:
                    _execute(options, out, item, call)
            else:
                with warnings.catch_warnings():  # joblib renews a worker that has grown, as a training makes it grow
                    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
                    joblib.Parallel(jobs)(joblib.delayed(_execute_in_worker)(os.getpid(), options, out, item, call) for item in runs)
            bar.n = bar.total
        finally:
            finished.set()
            watcher.join()
            bar.refresh()


def _client(address):
    """A connection to a Dask cluster."""
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError("--scheduler needs Dask: install gru-lite with its extra cluster, or dask[distributed]") from None
    try:
        return Client(address, timeout=10)
    except (OSError, ValueError):
        raise InputError(f"--scheduler {address} cannot be reached: start one with `dask scheduler`, and give the address "
                         "that it prints, such as tcp://127.0.0.1:8786") from None


def _execute_on_cluster(options, out, runs, call):
    """Send runs to a cluster; one that loses its worker goes to another, three times."""
    from concurrent.futures import CancelledError

    from dask.distributed import KilledWorker, as_completed

    # the workers are in folders of their own
    given = {name: getattr(options, name, None) for name in ("manifest", "forget", "root", "configs")}
    there = replace(options, **{name: Path(file).absolute() for name, file in given.items() if file})
    out = Path(out).absolute()
    mark = hashlib.sha256(repr((there, out)).encode()).hexdigest()
    with _client(options.scheduler) as client:
        # the same name for the same run: one that a killed client left behind is joined
        futures = [client.submit(_execute_there, there, out, item, call, key=f"{item.name}-{mark}") for item in runs]
        try:
            for future in as_completed(futures):
                future.result()
        except (KilledWorker, CancelledError) as error:
            raise OSError(f"--scheduler {options.scheduler}: {error}") from None


_ALONE = threading.Lock()  # the threads of a Dask worker share torch's random state and number of threads


def _execute_there(options, out, item, call):
    """One run in a Dask worker."""
    with _ALONE:
        if not _is_done(options, out, item):  # by what a killed client left behind
            _execute(options, out, item, call)


def _epochs_done(out, item):
    try:
        with safe_open(out / "runs" / item.name / "checkpoint.safetensors", framework="pt") as file:
            return int(file.metadata()["epoch"])
    except (OSError, SafetensorError, KeyError, TypeError):
        return 0


def _is_done(options, out, item):
    folder = out / "runs" / item.name
    if not (folder / "run.json").is_file():
        return False
    record = read_run(folder / "run.json")
    if record["config"] != _config_record(options, item):
        raise InputError(f"{folder} was computed with another configuration of {item.method}: use another --out")
    return record["status"] != "ok" or not _keeps_model(options, item) or (folder / "model.safetensors").is_file()


def _keeps_model(options, item):
    return item.ratio is None or (options.save_models and item.method != "original")


# The request and the folder.


def _data(options, seed, call):
    if options.benchmark:
        bench = _load(options.benchmark, None, seed, None)
    else:  # what lies on a disk is one data set, whatever the seed; it may be another at the next call of run
        given = {name: value for name in ("image_size", "target") if (value := getattr(options, name, None)) is not None}
        bench = _load(options.dataset, options.root if options.dataset else options.manifest, 0, call, **given)
    # a tuning must never see the test set: from here on there is none
    return replace(bench, test=bench.val) if options.scored_on == "val" else bench


@lru_cache(maxsize=2)
def _load(name, place, seed, call, **given):
    return load(name, place, seed, **given) if name else load_manifest(place, **given)


def _group_set(options):
    """The groups that a number names, such as --groups 9; or None."""
    return GROUP_SETS.get(options.dataset, {}).get(options.groups[0]) if len(options.groups) == 1 else None


def _split(options, bench, item):
    if item.ratio == LISTED:
        try:
            return forget_split(bench.train, indices=_listed(options, bench))
        except InputError as error:
            raise InputError(f"--forget {options.forget}: {error}") from None
    return forget_split(bench.train, _group_set(options) or options.groups or bench.default_groups, item.ratio, item.seed)


def _listed(options, bench):
    """The train samples that --forget lists."""
    file = Path(options.forget)
    if not file.is_file():
        raise InputError("it does not exist: give a file that lists train samples, one a line")
    positions = train_positions(options.manifest) if options.manifest else None
    indices = []
    try:
        lines = file.read_text().splitlines()
    except UnicodeDecodeError:
        raise InputError("it is not a text file") from None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if positions is not None:
            if text not in positions:
                raise InputError(f"line {number}: {text!r} is not a path of a train row of {options.manifest}")
            indices.append(positions[text])
        elif text.isascii() and text.isdigit():
            indices.append(int(text))
        else:
            raise InputError(f"line {number}: {text!r} is not the number of a train sample, 0 to {len(bench.train) - 1}")
    try:
        return np.array(indices)
    except OverflowError:
        raise InputError(f"train samples are 0 to {len(bench.train) - 1}") from None


def _check_request(options, bench):
    """Everything that can be wrong with the request, before the first training; returns one of its splits."""
    for ratio in options.ratio or (LISTED,):
        split = _split(options, bench, Run("retrain", None, ratio, options.first_seed))
        reweight(split, options.missing_group)
        for part in ("val", "test"):
            dataset = getattr(bench, part)
            for y, s in split.groups:
                if dataset.group_counts[y * dataset.n_sensitive + s] == 0:
                    raise InputError(f"group ({y}, {s}) has no sample in {part}: its accuracy and the attack need some")
    return split


def _recipe(options, bench, groups):
    """What all runs of a folder share, as JSON."""
    recipe = {
        "gru_lite": __version__, "scored_on": options.scored_on, "data": bench.name, "groups": [list(pair) for pair in groups],
        "model": MODEL, "train": _config_record(options, Run("original", None, None, 0)),
        "missing_group": options.missing_group, "reference": options.reweight[0],
    }
    if options.manifest:
        digest = hashlib.sha256()
        for part in (bench.train, bench.val, bench.test):
            for array in (part.images, part.group):
                digest.update(np.ascontiguousarray(array).tobytes())
        recipe |= {"images": digest.hexdigest(), "image_size": options.image_size}
    if options.dataset:
        digest = hashlib.sha256()
        for part in (bench.train, bench.val, bench.test):
            step = -(-part.inputs.nbytes // 2**26)  # of a large set as many, evenly spread, as are read in a second
            for array in (part.inputs[::step], part.group):
                digest.update(np.ascontiguousarray(array).tobytes())
        recipe |= {name: getattr(options, name) for name in ("preset", "model", "weights", "image_size")}
        recipe["content"] = digest.hexdigest()
    if options.forget:
        recipe["forget"] = hashlib.sha256(np.sort(_listed(options, bench)).tobytes()).hexdigest()
    return recipe


def _claim_folder(out, recipe):
    """Refuse a folder that holds something else; otherwise write the recipe into it."""
    file = out / "recipe.json"
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file: name a folder")
    if file.is_file():
        existing = _read_json(file, {"data"})
        for key in dict.fromkeys([*recipe, *existing]):
            theirs, ours, name = existing.get(key), recipe.get(key), key
            if isinstance(theirs, dict) and isinstance(ours, dict):  # of the training, name what differs
                name = next((k for k in ours if ours[k] != theirs.get(k)), key)
                theirs, ours = theirs.get(name), ours.get(name)
            if theirs != ours:
                raise InputError(f"{out} belongs to another recipe: its {name} is {theirs}, yours {ours}; use another --out")
    elif out.is_dir() and any(not found.name.startswith(".") for found in out.iterdir()):  # "." may be from a kill right here
        raise InputError(f"--out {out} holds other files: name a new or an empty folder")
    else:
        try:
            write_text(file, json.dumps(recipe, indent=1))
        except OSError as error:
            raise InputError(f"--out {out} cannot be written: {error.strerror}") from None


def _read_json(file, keys):
    try:
        content = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict) or not keys <= set(content):
        raise _damaged(file)
    return content


def _damaged(file):
    cure = "use another --out" if file.name == "recipe.json" else "delete it, and what it held is computed again"
    return InputError(f"{file} is damaged: {cure}")


def read_run(file):
    record = _read_json(file, {"method", "sampling", "ratio", "seed", "config", "n_forget", "scores", "seconds", "status"})
    try:
        record["scores"] = record["scores"] and Scores(**_with_table(record["scores"]))
    except (TypeError, ValueError, AttributeError):
        raise _damaged(file) from None
    return record


def _check_record(file):
    if not file.parent.is_dir():
        raise InputError(f"--record {file}: there is no folder {file.parent}")
    if file.is_dir() or (file.exists() and not file.read_bytes().startswith(b"# command: ")):
        raise InputError(f"--record {file} is not a recorded table: name a new CSV file")


def write_text(file, text):
    """Write a text file, atomically; of the processes of torchrun, the first writes it."""
    if not is_main():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(text)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def _with_table(flat):
    """Scores.flat() turned back: acc_y_s into the (Y, S) table."""
    cells = {tuple(map(int, name[4:].split("_"))): value for name, value in flat.items() if name.startswith("acc_")}
    shape = np.max(list(cells), axis=0) + 1
    table = np.full(shape, np.nan)
    for cell, value in cells.items():
        table[cell] = value
    return {name: value for name, value in flat.items() if not name.startswith("acc_")} | {"group_accuracy": table}
