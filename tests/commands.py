"""Commands: options as words, processes that run them without importing torch anew, and the files of git."""

import os
import subprocess
import sys
from dataclasses import fields
from multiprocessing import forkserver, get_context
from pathlib import Path

import gru_lite as gru
from gru_lite import cli

# What the fork server imports once, for all processes that it starts.
PRELOADED = [
    "gru_lite.experiment.runs",
    "torch._dynamo",
    "torchvision",
    "sklearn.ensemble",
    "dask.distributed",
]


def words_of(options, **changes):
    """The command line of options, every default included."""
    words = ["tune" if isinstance(options, gru.TuneOptions) else "run"]
    for field in fields(options):
        value = changes.get(field.name, getattr(options, field.name))
        if value is not None and value is not False and value != ():
            values = value if isinstance(value, tuple) else () if value is True else (value,)
            words += [f"--{field.name.replace('_', '-')}", *map(str, values)]
    return words


def fork_server():
    """Return the multiprocessing context of a fork server that has imported the package.

    A process that it starts is a real one, with a number of its own to be killed by.
    """
    forkserver.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()
    return get_context("forkserver")


def start(words, log=os.devnull):
    """Start a command in a process, and a process group, of its own; `log` gets what it says."""
    process = fork_server().Process(target=_main, args=(list(words), str(log)))
    process.start()
    return process


def _main(words, log):
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.exit(cli.main(words))


def files_of_git(root):
    """Names of the files of a checkout that git knows, or would take."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in said.split("\0") if name and (Path(root) / name).is_file()]
