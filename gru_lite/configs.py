"""What a method is run with: its class defaults, the values a tuning chose, or a file of one's own.

Such a file is JSON, {"method": {"field": value}}: the chosen.json of `gru-lite tune`, and the packaged tuned/NAME.json.
A config class may say what is worth trying, as SPACE = {field: ("log", low, high) | ("linear", low, high) |
("choice", (a, b, ...))}, and RETAINS = False when its method never visits the retain set.
"""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

from scipy.stats import qmc

from .data import BENCHMARKS
from .errors import InputError, check_choice
from .methods import METHODS
from .seeding import stream

PACKAGED = Path(__file__).parent / "tuned"


def retains(method):
    """Whether a method visits the retain set: only then can REWEIGHT change it."""
    return getattr(METHODS[method][1], "RETAINS", True)


def tuned(method, benchmark="waterdigits"):
    """Return the config of `method` with the values that were tuned on `benchmark`; where none are, its defaults."""
    check_choice(method, METHODS, "method")
    check_choice(benchmark, BENCHMARKS, "benchmark")
    file = PACKAGED / f"{benchmark}.json"
    return read_configs(file if file.is_file() else None)[method]


def read_configs(file=None, base=None):
    """Return {method: config} of all methods: the values of `file` over the class defaults, or over `base(method)`.

    Raises:
        InputError: names the file, the method and the field that are wrong.
    """
    values = {}
    if file is not None:
        try:
            values = json.loads(Path(file).read_text())
        except OSError as error:
            raise InputError(f"--configs {file} cannot be read: {error.strerror}") from None
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(isinstance(fields, dict) for fields in values.values()):
            raise InputError(f'--configs {file} is not JSON of the form {{"method": {{"field": value}}}}')
    try:
        for method in values:
            check_choice(method, METHODS, "method")
        return {method: make_config(method, values.get(method, {}), base and base(method)) for method in METHODS}
    except InputError as error:
        raise InputError(f"--configs {file}: {error}") from None


def make_config(method, values, base=None):
    """Return the config of a method with {field: value} over its defaults, or over the config `base`."""
    base = base or METHODS[method][1]()
    defaults = asdict(base)
    for field, value in values.items():
        check_choice(field, defaults, f"field of {method}")
        expected = type(defaults[field])
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise InputError(f"{method}: {field} {value!r} is not of the type {expected.__name__}")
    try:
        return replace(base, **values)
    except InputError as error:
        raise InputError(f"{method}: {error}") from None


def trial_values(method, trial):
    """Return {field: value} of one trial of a tuning: of trial 0 the defaults, of a later one a point of SPACE.

    The points are a scrambled Sobol sequence: a few of them cover each field evenly, which independent draws do not.
    """
    config_class = METHODS[method][1]
    space, defaults = getattr(config_class, "SPACE", {}), asdict(config_class())
    if not space:
        raise InputError(f"{method} has nothing to tune: its config names no SPACE")
    if trial == 0:
        return {field: defaults[field] for field in space}
    points = qmc.Sobol(len(space), seed=stream(0, "tune", method)).random_base2(trial.bit_length())
    return {field: _at(share, *what, whole=isinstance(defaults[field], int))
            for (field, what), share in zip(space.items(), points[trial - 1])}


def _at(share, kind, *bounds, whole=False):
    """The value at a share in [0, 1) of the way through a range."""
    if kind == "choice":
        return bounds[0][int(share * len(bounds[0]))]
    check_choice(kind, ("log", "linear"), "kind of search space")
    low, high = map(math.log, bounds) if kind == "log" else bounds
    value = low + share * (high - low)
    value = float(f"{math.exp(value) if kind == 'log' else value:.1e}")  # two digits: to be read, and written down
    return round(value) if whole else value
