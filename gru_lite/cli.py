"""The command line: `gru-lite run`. Flags are the fields of a dataclass; an error is one line, and exit code 2."""

import contextlib
import inspect
import io
import itertools
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .errors import InputError, check_choice
from .options import RunOptions

USAGE = """usage: gru-lite COMMAND [OPTIONS]

commands:
  run    train the original, its references and methods, score them, write a table
         for example: gru-lite run --benchmark waterdigits --ratio 0.5 --seeds 3

gru-lite COMMAND --help lists the options."""


def main(arguments=None):
    """Run the command line and return its exit code: 0; 1 when a run diverged; 2 for bad input; 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(__version__)
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    try:
        if arguments[0] != "run":
            check_choice(arguments[0], ("run",), "command")
        return _run(arguments[1:])
    except InputError as error:
        print(f"gru-lite: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gru-lite: interrupted: the same command continues from here", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"gru-lite: error: {error}; what is finished is kept, and the same command continues", file=sys.stderr)
        return 1


@dataclass(frozen=True)
class _Flags(RunOptions):
    def __post_init__(self):
        """Nothing: RunOptions checks them outside of tyro, which would print an error as a box."""


def _run(arguments):
    import tyro

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            flags = tyro.cli(_Flags, prog="gru-lite run", description=inspect.getdoc(RunOptions), args=arguments)
    except SystemExit as stop:
        if not stop.code:
            return 0
        # tyro explains in a box: what is wrong stands above its first rule
        box = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).splitlines()[1:]
        lines = itertools.takewhile(lambda line: "──" not in line, box)
        raise InputError(" ".join(line.strip("│ ") for line in lines)) from None
    options = RunOptions(**vars(flags))
    from . import experiment  # imports torch: only after the options are known to be right

    table = experiment.requested(experiment.run(options), options)
    print(experiment.summary(table))
    if options.record:
        experiment.record(table, options.record, _command(arguments))
    failed = table[table["status"] != "ok"]
    for row in failed.itertuples():
        print(f"gru-lite: {row.method} of ratio {row.ratio}, seed {row.seed} {row.status}", file=sys.stderr)
    return 1 if len(failed) else 0


def _command(arguments):
    """The command that gives the same table anywhere: without the folders of this machine."""
    words = [word for argument in arguments for word in (argument.split("=", 1) if argument.startswith("--") else [argument])]
    kept = ["gru-lite", "run"]
    for before, word in zip(["", *words], words):
        if not {before, word} & {"--out", "--record"}:
            kept.append(Path(word).name if before in ("--manifest", "--forget") else word)
    return shlex.join(kept)
