"""The two ways things go wrong, each said in one line that names the culprit and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that was given is wrong: a file, a row, a group, an option. The command line exits with 2."""


class DivergedError(RuntimeError):
    """A training or a model stopped being finite. A run marks the row, goes on with the others, and exits
    with code 1.

    `model` is the last one that was finite, where the training kept it; a run saves it beside the record.
    """

    def __init__(self, message: str, model=None):
        super().__init__(message)
        self.model = model


def check_choice(value: object, choices: Iterable, what: str):
    """Return `value` when it is one of `choices`; else raise InputError naming `what` and the nearest one."""
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown {what} {value!r}: {hint}choose from {', '.join(choices)}")
