"""Plan and compute the runs of one experiment: in this process, in several, or on a Dask cluster.

Every run depends on its seed alone: killed at any moment and started again, or spread over other processes or machines, an
experiment ends with the same table on the same kind of CPU. (On a GPU, sums of a step are added in no fixed order: the tables
agree to rounding.) Under torchrun all processes execute each run together; the first decides what is to do, and writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import torch
from tqdm import tqdm

from .. import __version__
from ..data import DatasetParts, load, source
from ..data.downloads import VIEW, warn_of_counts
from ..data.manifest import load_manifest, train_positions
from ..errors import DivergedError, InputError
from ..groups import ForgetSplit, forget_split, reweight
from ..methods import method as find_method
from ..methods import method_names, retains
from ..models import build_model, load_model, save
from ..recipes.configs import Recipe, as_record, read_values
from ..recipes.published import published_methods
from ..scores import score
from ..seeding import further_seed
from ..train import fit
from ..train.parallel import barrier, broadcast, is_main, world
from .options import LISTED, Options, RunOptions
from .store import Run, check_record, claim_folder, read_run, reference_number, write_text
from .table import Facts, Results, make_table


@dataclass(frozen=True)
class Place:
    """Where the data of an experiment comes from.

    Attributes:
        name: of an embedded benchmark or a data set; None: a manifest.
        path: root of the data set, or the manifest; None: it is generated.
        options: of the loader.
    """

    name: str | None
    path: Path | None
    options: tuple[tuple[str, object], ...] = ()

    def load(self, seed: int) -> DatasetParts:
        """Return the data of a seed; what lies on a disk is the same for all."""
        if self.name is None:
            return load_manifest(self.path, **dict(self.options))
        return load(self.name, self.path, seed if self.path is None else 0, **dict(self.options))


@dataclass(frozen=True)
class Plan:
    """All that a run of the experiment needs to know, in whatever process it happens.

    Attributes:
        out: results folder.
        place: where the data comes from.
        content: digest of data on a disk, None of generated: a process that has read other content reads again.
        recipe: what decides the configuration of each run.
        weights: where a model of pictures or text starts, "imagenet" or "none"; None of a small model.
        groups: that are forgotten, as (target, sensitive) pairs or texts; () for those of the data.
        listed: instead, the train samples to forget; None: there is no list.
        missing_group: "error" or "renormalise".
        scored_on: "test", or "val": then no process ever has a test set.
        save_models: keep every trained model.
        n_jobs: CPU cores of the scores of one run.
        progress: show the epochs of each training.
    """

    out: Path
    place: Place
    content: str | None
    recipe: Recipe
    weights: str | None
    groups: tuple
    listed: tuple[int, ...] | None
    missing_group: str
    scored_on: str
    save_models: bool
    n_jobs: int = 1
    progress: bool = False

    def data(self, seed: int) -> DatasetParts:
        """Return the data of a seed; a process keeps the last two, since runs come in the order of their seeds."""
        key = (self.place, self.content, seed if self.place.path is None else 0)
        if key not in _loaded:
            while len(_loaded) > 1:
                del _loaded[next(iter(_loaded))]
            _loaded[key] = self.place.load(seed)
        bench = _loaded[key]
        return replace(bench, test=bench.val) if self.scored_on == "val" else bench

    def split(self, bench: DatasetParts, ratio: str, seed: int) -> ForgetSplit:
        """Return the request of a run."""
        if self.listed is not None:
            return forget_split(bench.train, indices=np.array(self.listed))
        return forget_split(bench.train, self.groups or bench.default_groups, ratio, seed)

    def config(self, run: Run):
        """Return what a run is configured with."""
        return self.recipe.config(run.method, run.ratio, run.sampling != "none", run.trial)

    def keeps_model(self, run: Run) -> bool:
        """Whether the model of a run is kept."""
        return run.ratio is None or (self.save_models and run.method != "original")

    def is_done(self, run: Run) -> bool:
        """Whether a run is finished. Raises InputError where it was computed with another configuration."""
        folder = self.out / "runs" / run.name
        if not (folder / "run.json").is_file():
            return False
        record = read_run(folder / "run.json")
        if record["config"] != as_record(self.config(run)):
            raise InputError(f"{folder} was computed with another configuration of {run.method}: use another --out")
        return record["status"] != "ok" or not self.keeps_model(run) or (folder / "model.safetensors").is_file()


_loaded: dict[tuple, DatasetParts] = {}  # what this process has read, see Plan.data


def run(options: RunOptions, progress: bool = True) -> Results:
    """Compute what is asked for and is not there yet.

    Args:
        options: RunOptions.
        progress: show bars.

    Returns:
        Results: all rows of the folder; a run that diverged has its reason in the column `status`, and no scores.

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
    write_text(plan.out / "table.csv", results.table.to_csv(index=False, lineterminator="\n"))
    return results


def requests(options: Options) -> tuple[range, tuple[str, ...]]:
    """Return the seeds and the ratios that are asked for."""
    return range(options.first_seed, options.first_seed + options.seeds), options.ratio or (LISTED,)


# Plan


@contextlib.contextmanager
def planned(options: Options, runs: list[Run], progress: bool = False):
    """Check everything that can be wrong, then claim the folder; yield (Plan, Facts), and let go of the data at the end."""
    if world()[1] > 1 and (options.scheduler or (options.jobs or 1) > 1):
        raise InputError("under torchrun all processes train each model together: leave out --scheduler and --jobs")
    try:
        yield on_main(_plan, options, runs, progress)
    finally:
        _loaded.clear()  # the next call reads anew, and a GPU has its memory back


def _plan(options, runs, progress):
    place, recipe = _place(options), _recipe(options)
    for item in runs:
        recipe.config(item.method, item.ratio, item.sampling != "none", item.trial)
    if options.record:
        check_record(options.record)
    if options.scheduler:
        _client(options.scheduler).close()
    bench = place.load(options.first_seed)
    warn_of_counts(bench)
    listed = _listed(options, bench) if options.forget else None
    content = _digest(bench) if place.path is not None else None
    out = Path(options.out or Path("runs") / (bench.name + ("-tune" if options.scored_on == "val" else "")))
    weights = getattr(options, "weights", None)
    rest = {"missing_group": options.missing_group, "scored_on": options.scored_on, "save_models": options.save_models}
    plan = Plan(out, place, content, recipe, weights, _groups(options), listed, **rest)
    _loaded.clear()
    _loaded[place, content, options.first_seed if place.path is None else 0] = bench
    jobs = _jobs(options)
    plan = replace(plan, progress=progress and jobs == 1, n_jobs=1 if options.scheduler else joblib.cpu_count() // jobs)
    split = _checked_split(options, plan)
    if weights == "imagenet":  # are downloaded by one process, or refused before anything is written
        build_model(recipe.model, bench.train.n_targets)
    claim_folder(out, _shared(options, plan, bench.name, split.groups))
    return plan, _facts(options, split, bench)


def on_main(function: Callable, *arguments):
    """Return what the first process makes of it, in every process; an error, too."""
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


def _place(options):
    if options.benchmark:
        return Place(options.benchmark, None)
    given = {name: getattr(options, name, None) for name in ("image_size", "target")}
    given = tuple((name, value) for name, value in given.items() if value is not None)
    if options.dataset:
        return Place(options.dataset, Path(options.root), given)
    return Place(None, Path(options.manifest), (*given, ("view", True)) if options.model else given)


def _recipe(options):
    published = "waterbirds" if options.model else None  # what own pictures are trained like
    if options.dataset:
        published = source(options.dataset).published or published
    common = {"groups": options.groups, "epochs": options.epochs, "precision": options.precision}
    common |= {"preset": options.preset or "corrected", "compile": options.compile}
    values = read_values(options.configs) if options.configs else None
    return Recipe(options.benchmark, published, options.model or "small_resnet", values=values, **common)


def _groups(options):
    """The groups of --groups, where a set of the data set may have a name, such as 9."""
    sets = source(options.dataset).group_sets if options.dataset else {}
    return sets[options.groups[0]] if len(options.groups) == 1 and options.groups[0] in sets else options.groups


def _listed(options, bench):
    """The train samples that --forget lists."""
    try:
        return _read_list(Path(options.forget), options.manifest, bench)
    except InputError as error:
        raise InputError(f"--forget {options.forget}: {error}") from None


def _read_list(file, manifest, bench):
    if not file.is_file():
        raise InputError("it does not exist: give a file that lists train samples, one a line")
    positions = train_positions(manifest) if manifest else None
    try:
        lines = file.read_text().splitlines()
    except UnicodeDecodeError:
        raise InputError("it is not a text file") from None
    indices = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if positions is not None:
            if text not in positions:
                raise InputError(f"line {number}: {text!r} is not a path of a train row of {manifest}")
            indices.append(positions[text])
        elif text.isascii() and text.isdigit():
            indices.append(int(text))
        else:
            raise InputError(f"line {number}: {text!r} is not the number of a train sample, 0 to {len(bench.train) - 1}")
    if indices and max(indices) >= 2**63:
        raise InputError(f"train samples are 0 to {len(bench.train) - 1}")
    forget_split(bench.train, indices=indices)  # says what else is wrong
    return tuple(indices)


def _checked_split(options, plan):
    """Everything that can be wrong with the request, before the first training; returns one of its splits."""
    bench = plan.data(options.first_seed)
    for ratio in requests(options)[1]:
        split = plan.split(bench, ratio, options.first_seed)
        reweight(split, options.missing_group)
        for part in ("val", "test"):
            dataset = getattr(bench, part)
            for y, s in split.groups:
                if dataset.group_counts[y * dataset.n_sensitive + s] == 0:
                    raise InputError(f"group ({y}, {s}) has no sample in {part}: its accuracy and the attack need some")
    return split


def _digest(bench):
    """A digest of images or tokens and groups; of a large memory map as much, evenly spread, as is read in a second."""
    digest = hashlib.sha256()
    for part in (bench.train, bench.val, bench.test):
        step = -(-part.inputs.nbytes // 2**26) if isinstance(part.inputs, np.memmap) else 1
        for array in (part.inputs[::step], part.group):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _shared(options, plan, data, groups):
    """What all runs of a folder share, as JSON."""
    shared = {"gru_lite": __version__, "scored_on": plan.scored_on, "data": data, "groups": [list(pair) for pair in groups]}
    shared |= {"model": plan.recipe.model, "train": as_record(plan.config(Run("original", "none", None, 0)))}
    shared |= {"missing_group": plan.missing_group, "reference": options.reweight[0]}
    if options.manifest:
        shared |= {"images": plan.content, "image_size": options.image_size, "weights": plan.weights}
    if options.dataset:
        shared |= {"preset": options.preset, "weights": plan.weights, "image_size": options.image_size}
        shared["content"] = plan.content
    if options.forget:
        shared["forget"] = hashlib.sha256(np.sort(plan.listed).tobytes()).hexdigest()
    return shared


def _facts(options, split, bench):
    names = [next(name for name in split.group_names if name.startswith(f"{pair} ")) for pair in split.groups]
    request = f"group{'s' * (len(names) > 1)} {'; '.join(names)}"
    if options.dataset and len(options.groups) == 1 and options.groups[0].isdigit():
        request = f"each of {len(names)} groups"
    asked = {}
    if options.dataset:
        asked = {"--epochs": (options.epochs, None), "--image-size": (options.image_size or VIEW, VIEW)}
        asked["--weights"] = (options.weights, "imagenet")
    own = [method for method in options.methods if options.preset == "paper" and method not in published_methods()]
    return Facts(
        request=request,
        default_request=set(split.groups) == set(map(tuple, bench.default_groups)),
        data=options.dataset,
        model=getattr(options, "model", None),
        target=getattr(options, "target", None),
        trial=", ".join(f"{flag} {value}" for flag, (value, usual) in asked.items() if value != usual),
        not_in_paper=tuple(own),
    )


# Execute


def _jobs(options):
    """Runs at a time in this machine's processes."""
    usual = 1 if torch.cuda.is_available() else joblib.cpu_count()
    return 1 if world()[1] > 1 else options.jobs or usual


def execute(plan: Plan, runs: list[Run], label: str, options: Options, progress: bool) -> None:
    """Compute what is not there yet, in any order: here, in several processes, or on a cluster.

    Args:
        plan: Plan.
        runs: list of Run.
        label: of the progress bar.
        options: of whom scheduler and jobs count.
        progress: show the bar.
    """
    missing = on_main(lambda: [item for item in runs if not plan.is_done(item)])
    if not missing:
        return
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        # joblib renews a worker that has grown, as a training makes it grow
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        jobs, function = min(_jobs(options), len(missing)), execute_run
        if options.scheduler:
            client = stack.enter_context(_client(options.scheduler))
            stack.enter_context(joblib.parallel_config("dask", client=client))
            stack.enter_context(_lost_workers(options.scheduler))
            plan, jobs, function = _absolute(plan), -1, _execute_on_cluster
        elif jobs > 1:
            function = _execute_in_worker
        parallel = joblib.Parallel(jobs, batch_size=1, return_as="generator_unordered")
        done = parallel(joblib.delayed(function)(plan, item, os.getpid()) for item in missing)
        quiet = not (progress and is_main())
        for _ in tqdm(done, desc=label, total=len(missing), unit="model", disable=quiet):
            pass


def execute_run(plan: Plan, item: Run, parent: int | None = None) -> None:
    """Compute one run and write it to its folder."""
    folder = plan.out / "runs" / item.name
    folder.mkdir(parents=True, exist_ok=True)
    bench = plan.data(item.seed)
    split = plan.split(bench, item.ratio, item.seed) if item.ratio else None
    record = asdict(item) | {"config": as_record(plan.config(item)), "n_forget": len(split.forget) if split else 0}
    try:
        model, seconds = _train(plan, item, bench, split, folder / "checkpoint.safetensors")
        if plan.keeps_model(item) and is_main():
            save(model, folder / "model.safetensors")
        scores = score(model, bench, split, n_jobs=plan.n_jobs).flat() if split else None
        record |= {"scores": scores, "seconds": round(seconds, 2), "status": "ok"}
    except DivergedError as error:
        if error.model is not None and is_main():
            save(error.model, folder / "last_good.safetensors")
        record |= {"scores": None, "seconds": None, "status": f"diverged: {error}"}
    write_text(folder / "run.json", json.dumps(record, indent=1))
    if is_main():
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    barrier()  # what comes next may read what this run has written


def _train(plan, item, bench, split, checkpoint):
    """(model, seconds of training) of one run."""
    data, seed, config = bench.train, item.seed, plan.config(item)
    if item.method == "original" and item.ratio:
        return _original(plan, seed), 0.0
    sampled = {"weights": None, "sampling": "none"}
    if item.sampling != "none":
        sampled = {"weights": reweight(split, plan.missing_group), "sampling": item.sampling}
    if item.method in method_names():
        function, _ = find_method(item.method)
        model = function(_original(plan, seed), data, split, config, **sampled, seed=seed)
        return model, model.training_seconds
    options = {"weights": plan.weights} if plan.weights else {}
    start = build_model(plan.recipe.model, data.n_targets, seed, **options)
    # The ceiling and the further references differ from the first in the randomness of their training alone.
    common = {"config": config, "seed": further_seed(seed, reference_number(item.method)), "checkpoint": checkpoint}
    common |= {"progress": item.name if plan.progress else False, "keep_best": bench.val if plan.weights else None}
    if split is not None:
        # Equal steps for every way of sampling: an epoch is as long as one over the retain set.
        steps = -(-len(split.retain) // config.batch_size)
        common |= {"indices": split.retain, "steps_per_epoch": steps, **sampled}
    model = fit(start, data, **common)
    return model, model.training_seconds


def _original(plan, seed):
    folder = plan.out / "runs" / Run("original", "none", None, seed).name
    status = read_run(folder / "run.json")["status"]
    if status != "ok":
        raise DivergedError(status.removeprefix("diverged: "))
    return load_model(folder / "model.safetensors")


def _execute_in_worker(plan, item, parent):
    """The same in a worker process, which ends with its parent: a killed experiment must not go on by itself."""
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


# On a Dask cluster


def _client(address):
    """A connection to a Dask cluster."""
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs Dask: install gru-lite with its extra cluster, or dask[distributed]"
        ) from None
    try:
        return Client(address, timeout=10)
    except (OSError, ValueError):
        raise InputError(
            f"--scheduler {address} cannot be reached: start one with `dask scheduler`, and give the address that it "
            "prints, such as tcp://127.0.0.1:8786"
        ) from None


def _absolute(plan):
    """The same plan for workers, which are in folders of their own."""
    place = replace(plan.place, path=plan.place.path and plan.place.path.absolute())
    return replace(plan, place=place, out=plan.out.absolute(), progress=False)


@contextlib.contextmanager
def _lost_workers(address):
    """A run that took down its worker again and again is one line."""
    from concurrent.futures import CancelledError

    from dask.distributed import KilledWorker

    try:
        yield
    except (KilledWorker, CancelledError) as error:
        raise OSError(f"--scheduler {address}: {error}") from None


_alone = threading.Lock()  # the threads of a Dask worker share torch's random state and number of threads


def _execute_on_cluster(plan, item, parent):
    """One run in a Dask worker."""
    with _alone:
        if not plan.is_done(item):  # by what a killed client left behind
            execute_run(plan, item)
