"""Runs on a Dask cluster, by Dask's own client: joblib's backend waits for ever for one whose worker died."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from .plan import Plan
    from .store import Run

alone = threading.Lock()  # the threads of a Dask worker share torch's random state and number of threads


def connect(address: str):
    """Return a connection to a Dask cluster, its Client."""
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
            f"--scheduler {address} cannot be reached: start one with `dask scheduler`, and give the "
            "address that it prints, such as tcp://127.0.0.1:8786"
        ) from None


def on_cluster(address: str, function: Callable, plan: Plan, runs: list[Run]) -> Iterator[None]:
    """Let the cluster call `function(plan, run)` for each run; yields whenever one is done.

    A run that took down its worker again and again is one line.
    """
    from dask.distributed import KilledWorker, as_completed

    mark = hashlib.sha256(repr(plan).encode()).hexdigest()
    # The same name for the same run: one that a killed client left behind is joined, not computed beside it.
    keys = [f"{run.name}-{mark}" for run in runs]
    with connect(address) as client:
        futures = [client.submit(function, plan, run, key=key) for run, key in zip(runs, keys, strict=True)]
        try:
            for future in as_completed(futures):
                yield future.result()
        except (KilledWorker, CancelledError) as error:
            raise OSError(f"--scheduler {address}: {error}") from None
