"""Plan an experiment: check all that can be wrong before anything is written; say what every run needs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import torch

from .. import __version__
from ..data import DatasetParts, load, source
from ..data.downloads import VIEW, warn_of_counts
from ..data.manifest import load_manifest, train_positions
from ..data.records import load_table
from ..data.registry import RECORD_MODELS, packaged_root
from ..errors import InputError
from ..groups import ForgetSplit, forget_split, reweight
from ..methods import base_of
from ..models import build_model
from ..recipes.configs import Recipe, as_record, read_values
from ..recipes.published import is_borrowed, published_methods
from ..train.config import TrainConfig
from ..train.parallel import broadcast, is_main, world
from .cluster import connect
from .options import LISTED, Options
from .store import Run, check_record, claim_folder, read_run
from .table import Facts


@dataclass(frozen=True)
class Place:
    """Where the data of an experiment comes from.

    Attributes:
        name: of an embedded benchmark or a data set; None: a manifest or a table.
        path: root of the data set, or the manifest, or the table; None: it is generated.
        options: of the loader.
    """

    name: str | None
    path: Path | None
    options: tuple[tuple[str, object], ...] = ()

    def load(self, seed: int) -> DatasetParts:
        """Return the data of a seed; what lies on a disk is the same for all."""
        if self.name is None:
            own = load_table if "sensitive" in dict(self.options) else load_manifest
            return own(self.path, **dict(self.options))
        return load(self.name, self.path, seed if self.path is None else 0, **dict(self.options))


@dataclass(frozen=True)
class Plan:
    """All that a run of the experiment needs to know, in whatever process it happens.

    Attributes:
        out: results folder.
        place: where the data comes from.
        content: digest of data on a disk, None of generated: a process that has read other content reads
            again.
        recipe: what decides the configuration of each run.
        weights: where a model of pictures or text starts, "imagenet" or "none"; None of a small model.
        groups: that are forgotten, as (target, sensitive) pairs or texts; () for those of the data.
        listed: instead, the train samples to forget; None: there is no list.
        missing_group: "error" or "renormalise".
        scored_on: "test", or "val": then no run sees the test set.
        save_models: keep every trained model.
        curves: keep the accuracies after every epoch.
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
    curves: bool
    progress: bool = False

    def data(self, seed: int) -> DatasetParts:
        """Return the data of a seed.

        A process keeps the last two, since runs come in the order of their seeds.
        """
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

    def absolute(self) -> Plan:
        """Return the same plan for processes that are in other folders."""
        place = replace(self.place, path=self.place.path and self.place.path.absolute())
        return replace(self, place=place, out=self.out.absolute(), progress=False)

    def config(self, run: Run) -> TrainConfig:
        """Return what a run is configured with."""
        return self.recipe.config(run.method, run.ratio, run.sampling != "none", run.trial)

    def keeps_model(self, run: Run) -> bool:
        """Whether the model of a run is kept."""
        return run.ratio is None or (self.save_models and run.method != "original")

    def has_curve(self, run: Run) -> bool:
        """Whether a run keeps a curve: a training for a request, or a method."""
        return self.curves and run.ratio is not None and run.method != "original"

    def is_done(self, run: Run) -> bool:
        """Whether a run is finished. Raises InputError where it was computed with another configuration."""
        folder = self.out / "runs" / run.name
        if not (folder / "run.json").is_file():
            return False
        record = read_run(folder / "run.json")
        if record["config"] != as_record(self.config(run)):
            raise InputError(
                f"{folder} was computed with another configuration of {run.method}: use another --out"
            )
        wanted = ["model.safetensors"] * self.keeps_model(run) + ["curve.csv"] * self.has_curve(run)
        return record["status"] != "ok" or all((folder / name).is_file() for name in wanted)


_loaded: dict[tuple, DatasetParts] = {}  # what this process has read, see Plan.data


def requests(options: Options) -> tuple[range, tuple[str, ...]]:
    """Return the seeds and the ratios that are asked for."""
    return range(options.first_seed, options.first_seed + options.seeds), options.ratio or (LISTED,)


def jobs_of(options: Options) -> int:
    """Return how many runs are computed at a time in this machine's processes."""
    usual = 1 if torch.cuda.is_available() else joblib.cpu_count()
    return 1 if world()[1] > 1 else options.jobs or usual


@contextlib.contextmanager
def planned(options: Options, runs: list[Run], progress: bool = False) -> Iterator[tuple[Plan, Facts]]:
    """Check everything that can be wrong, then claim the folder.

    Yield (Plan, Facts), and let go of the data at the end.
    """
    if world()[1] > 1 and (options.scheduler or (options.jobs or 1) > 1):
        raise InputError(
            "under torchrun all processes train each model together: leave out --scheduler and --jobs"
        )
    try:
        yield on_main(_plan, options, runs, progress)
    finally:
        let_go()


def let_go() -> None:
    """Let go of the data: the next call reads anew, and a GPU has its memory back."""
    _loaded.clear()


def _plan(options, runs, progress):
    plan, bench, split = checked(options, runs, progress)
    claim_folder(plan.out, _shared(options, plan, bench.name, split.groups))
    return plan, _facts(options, split, bench)


def checked(options: Options, runs: list[Run], progress: bool) -> tuple[Plan, DatasetParts, ForgetSplit]:
    """Check everything that can be wrong before anything is written.

    Returns:
        the plan, and data and request of the first seed.
    """
    place, recipe = _place(options), _recipe(options)
    for item in runs:
        recipe.config(item.method, item.ratio, item.sampling != "none", item.trial)
    if options.record:
        check_record(options.record)
    if options.scheduler:
        connect(options.scheduler).close()
    bench = place.load(options.first_seed)
    if options.dataset:
        warn_of_counts(bench)
    if options.scored_on == "val":
        bench = replace(bench, test=bench.val)  # a tuning looks at no test set, its digest included
    listed = _listed(options, bench) if options.forget else None
    content = _digest(bench) if place.path is not None else None
    out = Path(options.out or Path("runs") / (bench.name + ("-tune" if options.scored_on == "val" else "")))
    weights = getattr(options, "weights", None)
    rest = {
        "missing_group": options.missing_group,
        "scored_on": options.scored_on,
        "save_models": options.save_models,
        "curves": options.curves,
    }
    plan = Plan(out, place, content, recipe, weights, _groups(options), listed, **rest)
    _loaded.clear()
    _loaded[place, content, options.first_seed if place.path is None else 0] = bench
    plan = replace(plan, progress=progress and jobs_of(options) == 1)
    split = _checked_split(options, plan)
    if weights == "imagenet":  # are downloaded by one process, or refused before anything is written
        build_model(recipe.model, bench.train.n_targets)
    return plan, bench, split


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
    given = {name: getattr(options, name, None) for name in ("image_size", "target", "sensitive")}
    if options.is_small:
        given |= source(options.dataset).small_models[options.model]
    given = tuple((name, value) for name, value in given.items() if value is not None)
    if options.dataset:
        root = options.root or packaged_root(options.dataset)
        return Place(options.dataset, root and Path(root), given)
    if options.table:
        return Place(None, Path(options.table), given)
    return Place(None, Path(options.manifest), (*given, ("view", True)) if options.model else given)


def _recipe(options):
    published = "waterbirds" if options.model else None  # what own pictures are trained like
    if options.dataset:
        published = None if options.is_small else source(options.dataset).published or published
    common = {"groups": options.groups, "epochs": options.epochs, "precision": options.precision}
    common |= {"preset": options.preset or "corrected", "compile": options.compile}
    values = read_values(options.configs) if options.configs else None
    model = options.model or (RECORD_MODELS[0] if options.is_of_records else "small_resnet")
    return Recipe(options.benchmark or options.dataset, published, model, values=values, **common)


def _groups(options):
    """The groups of --groups, where a set of the data set may have a name, such as 9."""
    sets = source(options.dataset).group_sets if options.dataset else {}
    return (
        sets[options.groups[0]] if len(options.groups) == 1 and options.groups[0] in sets else options.groups
    )


def _listed(options, bench):
    """The train samples that --forget lists."""
    try:
        return _read_list(Path(options.forget), options, bench)
    except InputError as error:
        raise InputError(f"--forget {options.forget}: {error}") from None


def _read_list(file, options, bench):
    if not file.is_file():
        raise InputError("it does not exist: give a file that lists train samples, one a line")
    positions, own, what = None, options.manifest or options.table, "the path of an image"
    if options.manifest:
        positions = train_positions(options.manifest)
    elif options.table:
        positions = {str(row): i for i, row in enumerate(bench.train.source)}
        what = "the number of a row (the header is row 1)"
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
                raise InputError(f"line {number}: {text!r} is not {what} that {own} has in train")
            indices.append(positions[text])
        elif text.isascii() and text.isdigit():
            indices.append(int(text))
        else:
            raise InputError(
                f"line {number}: {text!r} is not the number of a train sample, 0 to {len(bench.train) - 1}"
            )
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
                    raise InputError(
                        f"group ({y}, {s}) has no sample in {part}: its accuracy and the attack need some"
                    )
    return split


def _digest(bench):
    """A digest of images or tokens and groups.

    Of a large memory map as much, evenly spread, as is read in a second.
    """
    digest = hashlib.sha256()
    for part in (bench.train, bench.val, bench.test):
        step = -(-part.inputs.nbytes // 2**26) if isinstance(part.inputs, np.memmap) else 1
        for array in (part.inputs[::step], part.group):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _shared(options, plan, data, groups):
    """What all runs of a folder share, as JSON."""
    shared = {
        "gru_lite": __version__,
        "scored_on": plan.scored_on,
        "data": data,
        "groups": [list(pair) for pair in groups],
    }
    shared |= {"model": plan.recipe.model}
    shared |= {"missing_group": plan.missing_group, "reference": options.reweight[0]}
    if options.manifest:
        shared |= {"images": plan.content, "image_size": options.image_size, "weights": plan.weights}
    if options.dataset and not options.is_of_records:
        shared |= {"preset": options.preset, "weights": plan.weights, "image_size": options.image_size}
    if options.table:
        shared |= {"target": options.target, "sensitive": options.sensitive}
    if options.dataset or options.table:
        shared["content"] = plan.content
    if options.forget:
        shared["forget"] = hashlib.sha256(np.sort(plan.listed).tobytes()).hexdigest()
    # Last: of two differences, a refusal names the first.
    return shared | {"train": as_record(plan.config(Run("original", "none", None, 0)))}


def _facts(options, split, bench):
    names = [next(name for name in split.group_names if name.startswith(f"{pair} ")) for pair in split.groups]
    request = f"group{'s' * (len(names) > 1)} {'; '.join(names)}"
    if options.dataset and len(options.groups) == 1 and options.groups[0].isdigit():
        request = f"each of {len(names)} groups"
    asked = {}
    if options.dataset and getattr(options, "weights", None):
        asked = {"--epochs": (options.epochs, None), "--image-size": (options.image_size or VIEW, VIEW)}
        asked["--weights"] = (options.weights, "imagenet")
    own = [
        method
        for method in options.methods
        if options.preset == "paper" and base_of(method) not in published_methods()
    ]
    return Facts(
        request=request,
        default_request=set(split.groups) == set(map(tuple, bench.default_groups)),
        data=options.dataset,
        model=getattr(options, "model", None),
        target=getattr(options, "target", None),
        trial=", ".join(f"{flag} {value}" for flag, (value, usual) in asked.items() if value != usual),
        not_in_paper=tuple(own),
        borrowed=options.preset == "paper" and is_borrowed(options.groups),
    )
