"""A Dask cluster does the runs.

Joblib's own backend sends them; what is said of lost connections and workers is ours.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import joblib

from ..errors import InputError

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
            "address that it "
            "prints, such as tcp://127.0.0.1:8786"
        ) from None


@contextlib.contextmanager
def on_cluster(address: str) -> Iterator[None]:
    """Let joblib send its tasks to the cluster inside.

    A task that took down its worker again and again is one line.
    """
    from dask.distributed import KilledWorker

    with connect(address) as client, joblib.parallel_config("dask", client=client):
        try:
            yield
        except (KilledWorker, CancelledError) as error:
            raise OSError(f"--scheduler {address}: {error}") from None
