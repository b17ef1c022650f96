"""`gru-lite prepare | run | tune | plan`: flags are fields of a dataclass, an error is a line and code 2."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import os
import shlex
import sys
import typing
from dataclasses import fields
from pathlib import Path

from . import __version__
from .errors import InputError, check_choice
from .experiment.options import PlanOptions, PrepareOptions, RunOptions, TuneOptions

USAGE = """usage: gru-lite COMMAND [OPTIONS]

commands:
  prepare  check a download, decode it once, print its groups
           for example: gru-lite prepare --dataset waterbirds --root DATA
  run      train the original, its references and methods, score them, write a table
           for example: gru-lite run --benchmark waterdigits --ratio 0.5 --seeds 3
  tune     choose the methods' configurations on validation, for run --configs
           for example: gru-lite tune --benchmark waterdigits --methods all --first-seed 100
  plan     measure what a call costs here, and say what a stream of requests will cost
           for example: gru-lite plan --benchmark waterdigits --methods finetune miu --requests-per-day 3

gru-lite COMMAND --help lists the options."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its code: 0; 1 if a run diverged, a way of a plan too, or a search
    failed; 2 for bad input; 130 interrupted.
    """
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
    commands = {
        "prepare": (PrepareOptions, _prepare),
        "run": (RunOptions, _run),
        "tune": (TuneOptions, _tune),
        "plan": (PlanOptions, _plan),
    }
    command = arguments[0]
    try:
        check_choice(command, commands, "command")
        options_class, function = commands[command]
        parser = _parser(command, options_class)
        if set(arguments) & {"-h", "--help"}:
            parser.print_help()
            return 0
        return function(options_class(**_values(parser, arguments[1:])), arguments[1:])
    except InputError as error:
        print(f"gru-lite: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        then = "a plan keeps nothing" if command == "plan" else "the same command continues from here"
        print(f"gru-lite: interrupted: {then}", file=sys.stderr)
        return 130
    except OSError as error:
        kept = "what is finished is kept, and the same command continues"
        if command == "plan":
            kept = "a plan keeps nothing, and the same command begins again"
        print(f"gru-lite: error: {error}; {kept}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as an InputError."""

    def error(self, message):
        raise InputError(message)


def _parser(command, options_class):
    """A parser whose flags are the fields of the options; what is not given is left to their defaults."""
    parser = _Parser(
        prog=f"gru-lite {command}", description=inspect.getdoc(options_class), allow_abbrev=False,
        argument_default=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    types = typing.get_type_hints(options_class)
    for option in fields(options_class):
        kind = types[option.name]
        name, about = f"--{option.name.replace('_', '-')}", option.metadata["help"].replace("%", "%%")
        if kind is bool:
            parser.add_argument(name, action=argparse.BooleanOptionalAction, help=about)
            continue
        single = next((k for k in typing.get_args(kind) if k in (str, int, Path)), kind)
        several = {"nargs": "+"} if typing.get_origin(kind) is tuple else {}
        metavar = {int: "N", Path: "PATH"}.get(single, option.name.upper())
        parser.add_argument(name, type=single, metavar=metavar, **several, help=about)
    return parser


def _values(parser, arguments):
    """{field: value} of what is given on the command line."""
    # A group such as -1,0 is a value that looks like a flag: after a blank, argparse takes it for a value.
    words = [f" {word}" if word[:1] == "-" and word[1:2].isdigit() else word for word in arguments]
    given, unknown = parser.parse_known_args(words)
    if unknown:
        flags = [action.option_strings[0] for action in parser._actions if action.option_strings]
        check_choice(unknown[0].split("=")[0], flags, "option")
    values = vars(given).items()
    return {name: tuple(map(str.strip, v)) if isinstance(v, list) else v for name, v in values}


def _prepare(options, arguments):
    from . import data

    how = {"image_size": options.image_size}
    about = {"target": options.target, "sensitive": options.sensitive}
    how |= about if options.dataset else {"view": options.model is not None}
    data.prepare(options.dataset, options.root, options.manifest, **how)
    return 0


def _run(options, arguments):
    from .experiment import report, runs, store  # import torch: only after the options are known to be right

    results = runs.run(options).requested(options)
    print(report.summary(results, options.compare_with))
    if options.dataset:
        print("", report.beside_reported(results), sep="\n")
    if options.record:
        store.record(results.table, options.record, _command("run", arguments))
    diverged = results.table[results.table["status"].str.startswith("diverged")]
    for row in diverged.itertuples():
        print(f"gru-lite: {row.method} of ratio {row.ratio}, seed {row.seed} {row.status}", file=sys.stderr)
    return 1 if len(diverged) else 0


def _tune(options, arguments):
    from .experiment import store, tuning

    log = tuning.tune(options)
    print(tuning.tuning_summary(log))
    if options.record:
        store.record(log, options.record, _command("tune", arguments))
    return 1 if any(found.is_failed for found in tuning.results_of(log).values()) else 0


def _plan(options, arguments):
    from .experiment import costs

    planned = costs.plan(options)
    print(planned)
    for way in planned.diverged:
        print(f"gru-lite: {way} diverged", file=sys.stderr)
    return 1 if planned.diverged else 0


def _command(command, arguments):
    """The command that gives the same table anywhere: without the folders of this machine."""
    parts = (given.split("=", 1) if given.startswith("--") else [given] for given in arguments)
    words = [word for part in parts for word in part]
    kept = ["gru-lite", command]
    for before, word in zip(["", *words], words, strict=False):
        if not {before, word} & {"--out", "--record", "--scheduler"}:
            is_path = before in ("--manifest", "--table", "--forget", "--configs", "--root")
            kept.append(Path(word).name if is_path else word)
    return shlex.join(kept)
