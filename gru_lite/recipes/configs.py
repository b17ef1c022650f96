"""The configuration of every run: one function, `Recipe.config`, decides.

Values of one's own are JSON, {"method": {"field": value}}: the chosen.json of `gru-lite tune`, and the
packaged tuned/NAME.json. Under PLAIN the same may stand for runs without REWEIGHT. null in the place of a
method's values: its search failed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..data import BENCHMARKS, DATASETS
from ..errors import InputError, check_choice
from ..methods import base_of, default_config, fixed_fields, method_names, retains
from ..methods import method as find_method
from ..train.config import TrainConfig
from .published import hyperparameters, published_methods, published_row

PACKAGED = Path(__file__).parent / "tuned"
PLAIN = "without REWEIGHT"
# Of SCRUB, where the table names the batch of its ascent; and of every method of the corrected preset.
RETAIN_BATCH = 128
UNLEARNING_EPOCHS = 10
HIGHEST_LR = 0.01  # of a model that the paper does not train
# Of small models that the default training does not suit; found on the sentences of lesson 14.
TRAININGS = {
    "small_bert": TrainConfig(
        epochs=5, batch_size=128, lr=3e-3, shift=0, warmup_epochs=1, optimizer="adamw", weight_decay=0.1
    )
}


@dataclass(frozen=True)
class Recipe:
    """What decides the configuration of every run of one experiment.

    Attributes:
        benchmark: embedded benchmark or data set whose tuned values the methods take, where there are some,
            or None.
        published: data set whose published training the runs have, or None: the small models' own.
        model: name of the architecture.
        preset: "paper", with the published values and methods as released, or "corrected".
        groups: as --groups is; the published values depend on how many there are.
        values: {method: {field: value}} over those of the preset or the method's defaults, as `read_values`
            gives them; None: there are none.
        trials: of a tuning, {(method, with REWEIGHT or not): [{field: value}]}.
        epochs: of a trial: so many of a training, and at most so many of a method; None for all.
        precision: as in TrainConfig; None: float32, or bfloat16 for images as released.
        compile: as in TrainConfig.
    """

    benchmark: str | None = None
    published: str | None = None
    model: str = "small_resnet"
    preset: str = "corrected"
    groups: tuple[str, ...] = ()
    values: dict | None = None
    epochs: int | None = None
    precision: str | None = None
    compile: bool = False
    trials: dict | None = None

    def config(
        self, method: str, ratio: str | None = None, reweight: bool = False, trial: int | None = None
    ) -> TrainConfig:
        """Return what one run is configured with: a TrainConfig, or the method's own.

        Args:
            method: name of a method, or of anything that is trained from the start: "original", "retrain",
                "ceiling" ...
            ratio: text; None for the original.
            reweight: with REWEIGHT or without.
            trial: of a tuning, which of its trials.

        Raises:
            InputError: the paper's table has no such run.
        """
        base = base_of(method)
        unlearns = base in method_names()
        if trial is not None:
            config = make_config(method, self.trials[method, reweight][trial])
        elif self.published and self.preset == "paper" and (not unlearns or base in published_methods()):
            config = paper_config(self.published, self.model, self.groups, ratio, base, reweight)
        elif self.published:
            config = corrected_config(self.published, self.model, base)
        else:
            config = small_config(self.model, method)
        if unlearns and trial is None:
            config = make_config(method, values_of(method, self.own_values, reweight) or {}, config)
        if unlearns:
            config = replace(config, **fixed_fields(method))
        if self.epochs:  # a trial run; the warm-up must leave an epoch to train in
            epochs = min(config.epochs, self.epochs) if unlearns else self.epochs
            config = replace(config, epochs=epochs, warmup_epochs=min(config.warmup_epochs, epochs - 1))
        precision = self.precision or config.precision
        return replace(config, precision=precision, compile=self.compile or config.compile)

    @property
    def own_values(self) -> dict:
        """`values`, or those that were tuned on the benchmark."""
        return tuned_values(self.benchmark) if self.benchmark and self.values is None else self.values or {}

    @property
    def scored_in(self) -> str:
        """The precision of the predictions that are scored; as released, that of the trainings."""
        is_released = self.published and self.preset == "paper"
        return self.config("original").precision if is_released else "float32"

    def is_failed(self, method: str, reweight: bool) -> bool:
        """Whether the search for a method's values found none that are better than doing nothing."""
        return values_of(method, self.own_values, reweight) is None


def paper_config(
    dataset: str, model: str, groups: tuple[str, ...], ratio: str | None, method: str, reweight: bool
) -> TrainConfig:
    """Return the published config of one run, MIU and SalUn as released; arguments as in `published_row`."""
    row = published_row(dataset, model, groups, ratio, method, reweight)
    config = _from_row(method if method in published_methods() else None, row)
    if model == "bert":  # as released for text
        exact = {"precision": "float32", "loss_precision": "float32", "original_mode": "eval"}
    else:
        exact = {"precision": "bfloat16"}
    exact = {name: value for name, value in exact.items() if hasattr(config, name)}
    return replace(config, lr_changes="epoch", ragged=True, **exact)


def corrected_config(dataset: str, model: str, method: str) -> TrainConfig:
    """Return our config of one run of any request: trained like the paper's, unlearnt with what is corrected.

    `method` may also be anything that is trained from the start; `dataset` is a name in the published table.
    Every method has the same batches of R and so the same number of steps; its learning rate stands to that
    of training as its default does. A model that the paper does not train has its training, at a learning
    rate of 0.01 at most.
    """
    row = next(row for row in hyperparameters() if (row["dataset"], row["method"]) == (dataset, "pretrain"))
    training = _from_row(None, row)
    if model != row["model"]:
        training = replace(training, lr=min(training.lr, HIGHEST_LR))
    if method not in method_names():
        return training
    of_retain = {"epochs": UNLEARNING_EPOCHS, "batch_size": RETAIN_BATCH} if retains(method) else {}
    return _unlearning(method, training, of_retain)


def small_config(model: str, method: str) -> TrainConfig:
    """Return the default config of one run of a small model; `method` as in `corrected_config`."""
    training, base = TRAININGS.get(model), base_of(method)
    if base not in method_names():
        return training or TrainConfig()
    return _unlearning(base, training, {}) if training else default_config(method)


def _unlearning(method, training, values):
    """A method's defaults for a model that was trained like this: its learning rate stands to that of
    training as its default does."""
    config = replace(find_method(method)[1](), **values)
    taken = {name: getattr(training, name) for name in ("weight_decay", "augment", "optimizer")}
    return replace(config, lr=float(f"{training.lr * config.lr / TrainConfig().lr:.3g}"), shift=0, **taken)


def _from_row(method, row):
    """The config that a row of the table describes; of a method, or None for a training from the start."""
    values = {name: int(row[name]) for name in ("batch_size", "epochs", "warmup_epochs")}
    values |= {name: float(row[name]) for name in ("lr", "weight_decay")}
    values |= {name: row[name] for name in ("schedule", "optimizer")}
    # A crop replaces the shift, which is for images of a few pixels.
    values |= {"augment": row["train_augmentation"] == "True", "shift": 0}
    if row["momentum"]:
        values["momentum"] = float(row["momentum"])
    if method is None:
        return TrainConfig(**values)
    config_class = find_method(method)[1]
    for name in ("forget_epochs", "critic_lr", "lambda_mi"):  # the table's own names, where a method has them
        if row[name] and name in config_class.__dataclass_fields__:
            values[name] = float(row[name]) if name != "forget_epochs" else int(row[name])
    if "forget_batch_size" in config_class.__dataclass_fields__:
        values["forget_batch_size"] = values["batch_size"]
    if method == "scrub":
        values["batch_size"] = RETAIN_BATCH
    released = getattr(config_class, "released", config_class)
    return released(**values)


def tuned(method: str, benchmark: str = "waterdigits", reweight: bool = True) -> TrainConfig:
    """Return the config of a method with the values tuned on a benchmark; its defaults where none are, or
    where the search failed.
    """
    check_choice(benchmark, (*BENCHMARKS, *DATASETS), "benchmark")
    config = make_config(method, values_of(method, tuned_values(benchmark), reweight) or {})
    return replace(config, **fixed_fields(method))


def tuned_values(benchmark: str) -> dict:
    """Return the values tuned on a benchmark, as `read_values` does; {} where none are."""
    file = PACKAGED / f"{benchmark}.json"
    return read_values(file) if file.is_file() else {}


def values_of(method: str, values: dict, reweight: bool) -> dict | None:
    """Return {field: value} of one method, {} where none are named; None: its search failed.

    A run without REWEIGHT for which none are named has those with it, and a variant those of its method.
    """
    plain = values.get(PLAIN, {})
    for name in dict.fromkeys((method, base_of(method))):
        for part in (values,) if reweight else (plain, values):
            if name in part:
                return part[name]
    return {}


def read_values(file: str | Path) -> dict[str, dict]:
    """Return {method: {field: value}} of a JSON file, and the same under PLAIN where it is there.

    Raises:
        InputError: names the file, the method and the field that are wrong.
    """
    try:
        values = json.loads(Path(file).read_text())
    except OSError as error:
        raise InputError(f"--configs {file} cannot be read: {error.strerror}") from None
    except ValueError:
        values = None
    parts = [values, *([values[PLAIN]] if isinstance(values, dict) and PLAIN in values else [])]
    for part in parts:
        if not isinstance(part, dict) or not all(isinstance(v, (dict, type(None))) for v in part.values()):
            raise InputError(f'--configs {file} is not JSON of the form {{"method": {{"field": value}}}}')
    try:
        for part in parts:
            for method, fields in part.items():
                if method != PLAIN:
                    make_config(method, fields or {})
    except InputError as error:
        raise InputError(f"--configs {file}: {error}") from None
    return values


def make_config(method: str, values: dict, base: TrainConfig | None = None) -> TrainConfig:
    """Return the config of a method: `base`, or its defaults, with the fields of `values` replaced."""
    base = base or default_config(method)
    defaults = asdict(base)
    for name, value in values.items():
        check_choice(name, defaults, f"field of {method}")
        expected = type(defaults[name])
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise InputError(f"{method}: {name} {value!r} is not of the type {expected.__name__}")
    try:
        return replace(base, **values)
    except InputError as error:
        raise InputError(f"{method}: {error}") from None


def as_record(config: TrainConfig) -> dict:
    """Return a config as it reads in a JSON file."""
    return json.loads(json.dumps(asdict(config)))
