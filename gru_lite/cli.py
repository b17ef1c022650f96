"""The command line: `gru-lite prepare | run | tune`. Flags are the fields of a dataclass; an error is one line, and exit code 2."""

import contextlib
import inspect
import io
import itertools
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .errors import InputError, check_choice
from .options import PrepareOptions, RunOptions, TuneOptions

USAGE = """usage: gru-lite COMMAND [OPTIONS]

commands:
  prepare  check a download, decode it once, print its groups
           for example: gru-lite prepare --dataset waterbirds --root DATA
  run      train the original, its references and methods, score them, write a table
           for example: gru-lite run --benchmark waterdigits --ratio 0.5 --seeds 3
  tune     choose the methods' configurations on validation, for run --configs
           for example: gru-lite tune --benchmark waterdigits --methods all --trials 6 --seeds 4 --first-seed 100

gru-lite COMMAND --help lists the options."""


def main(arguments=None):
    """Run the command line and return its exit code: 0; 1 when a run diverged; 2 for bad input; 130 interrupted."""
    with contextlib.ExitStack() as quiet:
        if os.environ.get("RANK", "0") != "0":  # of the processes of torchrun, one speaks
            for stream in (contextlib.redirect_stdout, contextlib.redirect_stderr):
                quiet.enter_context(stream(io.StringIO()))
        return _main(sys.argv[1:] if arguments is None else list(arguments))


def _main(arguments):
    if arguments == ["--version"]:
        print(__version__)
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    try:
        commands = {"prepare": _prepare, "run": _run, "tune": _tune}
        return commands[check_choice(arguments[0], commands, "command")](arguments[1:])
    except InputError as error:
        print(f"gru-lite: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gru-lite: interrupted: the same command continues from here", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"gru-lite: error: {error}; what is finished is kept, and the same command continues", file=sys.stderr)
        return 1


def _parse(command, options_class, arguments):
    """The options that `arguments` name; None when they ask for help."""
    import tyro

    # checked only outside of tyro, which would print an error as a box
    flags_class = dataclass(frozen=True)(type("Flags", (options_class,), {"__post_init__": lambda self: None}))
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            flags = tyro.cli(flags_class, prog=f"gru-lite {command}", description=inspect.getdoc(options_class), args=arguments)
    except SystemExit as stop:
        if not stop.code:
            return None
        # tyro explains in a box: what is wrong stands above its first rule
        box = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).splitlines()[1:]
        lines = itertools.takewhile(lambda line: "──" not in line, box)
        raise InputError(" ".join(line.strip("│ ") for line in lines)) from None
    return options_class(**vars(flags))


def _prepare(arguments):
    options = _parse("prepare", PrepareOptions, arguments)
    if options is None:
        return 0
    from . import data

    data.prepare(options.dataset, options.root, options.manifest, target=options.target, image_size=options.image_size)
    return 0


def _run(arguments):
    options = _parse("run", RunOptions, arguments)
    if options is None:
        return 0
    from . import experiment, tables  # import torch: only after the options are known to be right

    table = experiment.requested(experiment.run(options), options)
    print(tables.summary(table))
    if options.dataset:
        default = table.attrs["default_groups"]
        print("", tables.beside_reported(table, options.dataset, options.model, options.target, default), sep="\n")
    if options.record:
        experiment.record(table, options.record, _command("run", arguments))
    failed = table[table["status"] != "ok"]
    for row in failed.itertuples():
        print(f"gru-lite: {row.method} of ratio {row.ratio}, seed {row.seed} {row.status}", file=sys.stderr)
    return 1 if len(failed) else 0


def _tune(arguments):
    options = _parse("tune", TuneOptions, arguments)
    if options is None:
        return 0
    from . import experiment, tuning

    log = tuning.tune(options)
    print(tuning.tuning_summary(log))
    if options.record:
        experiment.record(log, options.record, _command("tune", arguments))
    # a search may try what diverges; a method without any value has failed
    return 1 if len(tuning.chosen(log)) < len(options.methods) else 0


def _command(command, arguments):
    """The command that gives the same table anywhere: without the folders of this machine."""
    words = [word for argument in arguments for word in (argument.split("=", 1) if argument.startswith("--") else [argument])]
    kept = ["gru-lite", command]
    for before, word in zip(["", *words], words):
        if not {before, word} & {"--out", "--record", "--scheduler"}:
            kept.append(Path(word).name if before in ("--manifest", "--forget", "--configs", "--root") else word)
    return shlex.join(kept)
