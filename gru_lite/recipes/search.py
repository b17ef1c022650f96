"""What a tuning tries: points of a method's search space, and where the space is extended.

A config class declares its space as SPACE = {field: range}. A range is ("log", low, high), which can be
extended beyond its ends; or ("linear", low, high) or ("choice", (a, b, ...)), which are all there is.
"""

from __future__ import annotations

import math
from dataclasses import asdict

from scipy.stats import qmc

from ..errors import InputError, check_choice
from ..methods import default_config, fixed_fields
from ..methods import method as find_method
from ..seeding import stream

EDGE = 0.1  # a value in the outer tenth of a range lies at its edge
# What records have in the place of a range for images. Nothing is shifted, and their network has one block.
OF_RECORDS = {"shift": None, "blocks": ("choice", (0, 1))}


def space_of(method: str, images: bool = True) -> dict[str, tuple]:
    """Return a method's search space, for records without what is for images alone. Raises InputError where
    it has none.
    """
    space = getattr(find_method(method)[1], "SPACE", {})
    if not space:
        raise InputError(f"{method} has nothing to tune: its config defines no SPACE")
    for kind, *_ in space.values():
        check_choice(kind, ("log", "linear", "choice"), "kind of search space")
    if not images:
        space = space | {field: what for field, what in OF_RECORDS.items() if field in space}
    return {field: what for field, what in space.items() if what and field not in fixed_fields(method)}


def points(method: str, space: dict[str, tuple], n: int, search: int = 1, part: int = 0) -> list[dict]:
    """Return n points of a space, as {field: value}: a scrambled Sobol sequence.

    A few of its points cover each field evenly, which independent draws do not.

    Args:
        method: its name; the defaults of its config say which fields are whole numbers.
        space: as `space_of` gives it, or a part of it.
        n: how many.
        search: integer >= 1; every search has other points.
        part: integer >= 0; so has every extension of a search.
    """
    defaults = asdict(default_config(method))
    name = ("tune", method, search, part) if part or search > 1 else ("tune", method)
    shares = qmc.Sobol(len(space), seed=stream(0, *name)).random_base2(max(0, n - 1).bit_length())[:n]
    return [
        {
            field: _at(share, *what, whole=isinstance(defaults[field], int))
            for (field, what), share in zip(space.items(), row, strict=True)
        }
        for row in shares
    ]


def first_points(method: str, n: int, search: int = 1, images: bool = True) -> list[dict]:
    """Return the n trials that a search begins with. The first trial of search 1 has the defaults."""
    space = space_of(method, images)
    if search > 1:
        return points(method, space, n, search)
    defaults = asdict(default_config(method))
    return [{field: defaults[field] for field in space}, *points(method, space, n - 1, search)][:n]


def edges(space: dict[str, tuple], values: dict) -> dict[str, str]:
    """Return {field: "low" or "high"} of the log ranges in whose outer tenth, or beyond, a value lies."""
    found = {}
    for field, (kind, *bounds) in space.items():
        if kind != "log":
            continue
        low, high = map(math.log, bounds)
        share = (math.log(values[field]) - low) / (high - low) if values[field] > 0 else -math.inf
        if not EDGE <= share <= 1 - EDGE:
            found[field] = "low" if share < EDGE else "high"
    return found


def extended(space: dict[str, tuple], at: dict[str, str]) -> tuple[dict[str, tuple], dict[str, tuple]]:
    """Return (new, whole): the space with the ranges named in `at` replaced by as much again beyond that end
    as half of the range on a log scale, together with its outer tenth; and the space with both.
    """
    new, whole = dict(space), dict(space)
    for field, end in at.items():
        _, low, high = space[field]
        tenth, half = (high / low) ** EDGE, (high / low) ** 0.5
        if end == "low":
            new[field], whole[field] = ("log", low / half, low * tenth), ("log", low / half, high)
        else:
            new[field], whole[field] = ("log", high / tenth, high * half), ("log", low, high * half)
    return new, whole


def _at(share, kind, *bounds, whole=False):
    """The value at a share in [0, 1) of the way through a range."""
    if kind == "choice":
        return bounds[0][int(share * len(bounds[0]))]
    low, high = map(math.log, bounds) if kind == "log" else bounds
    value = low + share * (high - low)
    # Two digits: to be read, and written down.
    value = float(f"{math.exp(value) if kind == 'log' else value:.1e}")
    return round(value) if whole else value
