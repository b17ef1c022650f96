"""Many processes: a sweep in two workers, here or on a Dask cluster, and one experiment under torchrun."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from commands import fork_server, start, words_of

import gru_lite as gru
from gru_lite import cli
from gru_lite.experiment import plan
from gru_lite.experiment.store import read_csv
from gru_lite.experiment.table import make_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributed():
    dask = pytest.importorskip("dask", reason="skipped: no dask")
    # Before distributed is imported: its workers come from the fork server, in the place of new interpreters.
    # A killed one needs its time to come back on a busy machine.
    settings = {"worker.multiprocessing-method": "forkserver", "deploy.lost-worker-timeout": "300s"}
    with dask.config.set({f"distributed.{name}": value for name, value in settings.items()}):
        yield pytest.importorskip("dask.distributed", reason="skipped: no dask.distributed")


@pytest.fixture(scope="module")
def cluster(distributed):
    fork_server()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        yield made


@pytest.fixture(scope="module")
def options(manifest):
    return gru.RunOptions(
        manifest=manifest, groups=("1,0",), methods=("finetune",), seeds=1, epochs=2, jobs=1
    )


@pytest.fixture(scope="module")
def alone(options, tmp_path_factory):
    """The table of one process."""
    return gru.run(replace(options, out=tmp_path_factory.mktemp("alone") / "out"), progress=False).table


def text(table):
    """A table as its file has it, but for the seconds."""
    return table.drop(columns=["seconds", "share"]).to_csv(index=False)


def stamps(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("runs/*/run.json")}


def wait_for(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_jobs(options, alone, tmp_path):
    """The same table; and when a manifest changes, the same worker processes read it anew."""
    two = replace(options, out=tmp_path / "out", jobs=2)
    assert text(gru.run(two, progress=False).table) == text(alone)
    moved = shutil.copytree(options.manifest.parent, tmp_path / "images")
    other = replace(options, manifest=moved / "tiny.csv", methods=())
    first = gru.run(replace(other, out=tmp_path / "first", jobs=2), progress=False).table
    assert text(first) == text(alone[:4])
    for number in range(100):
        shutil.copy(moved / f"train{number + 100}.png", moved / f"train{number}.png")
    anew = gru.run(replace(other, out=tmp_path / "anew", jobs=2), progress=False).table
    here = gru.run(replace(other, out=tmp_path / "here"), progress=False).table
    assert text(anew) == text(here) != text(first)


def test_the_same_table(options, alone, cluster, tmp_path, monkeypatch):
    """With a relative folder, too: the workers are elsewhere."""
    monkeypatch.chdir(tmp_path)
    asked = replace(options, scheduler=cluster.scheduler_address, out="out")
    assert text(gru.run(asked, progress=False).table) == text(alone)
    assert read_csv(tmp_path / "out" / "table.csv")["method"].tolist() == alone["method"].tolist()


def test_a_killed_client(options, alone, cluster, tmp_path):
    """What is finished stays, what is not is computed by the same command."""
    out = tmp_path / "out"
    words = words_of(options, out=out, scheduler=cluster.scheduler_address, jobs=None)
    client = start(words)
    wait_for(lambda: stamps(out) or not client.is_alive())
    assert client.is_alive()
    os.kill(client.pid, signal.SIGKILL)
    client.join()
    before = stamps(out)
    assert before
    assert cli.main(words) == 0
    assert before.items() <= stamps(out).items() and text(make_table(out)) == text(alone)


@pytest.fixture
def killer(distributed, cluster, tmp_path):
    """A thread that kills both workers as soon as they have begun."""

    def kill():
        with distributed.Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(2)
            pids = list(client.run(os.getpid).values())
        wait_for(lambda: list((tmp_path / "out").glob("runs/*")))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_killed_workers(options, alone, cluster, tmp_path, killer):
    """Their runs are given to others, and continue from their checkpoints."""
    asked = replace(options, scheduler=cluster.scheduler_address, out=tmp_path / "out")
    table = gru.run(asked, progress=False).table
    killer.join()
    assert text(table) == text(alone)


def test_a_run_that_takes_its_worker_down(options, alone, cluster, tmp_path, capsys, monkeypatch, killer):
    """One line names it, and the same command finishes once the cause is gone."""
    words = words_of(options, out=tmp_path / "out", scheduler=cluster.scheduler_address)
    with monkeypatch.context() as patch:
        patch.setattr(cluster.scheduler, "allowed_failures", 0)
        assert cli.main(words) == 1
        killer.join()
    lines = capsys.readouterr().err.splitlines()
    (said,) = [line for line in lines if line.startswith("gru-lite: error: ")]
    end = "what is finished is kept, and the same command continues"
    assert "-s0-" in said and said.endswith(end)
    assert cli.main(words) == 0
    assert text(make_table(tmp_path / "out")) == text(alone)


def test_an_address_without_a_scheduler(distributed, manifest, refused, monkeypatch):
    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout=1))
    words = f"run --manifest {manifest} --groups 1,0 --scheduler"
    why = "cannot be reached: start one with `dask scheduler`"
    addresses = ("tcp://127.0.0.1:9", "http://nowhere:x")
    refused([(f"{words} {address}", f"--scheduler {address} {why}") for address in addresses])


def test_torchrun(options, alone, tmp_path):
    """Both processes execute each run.

    One decides, writes and prints. The folder is continued by either command.
    """
    out = tmp_path / "out"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*torchrun, "-m", "gru_lite", *words_of(options, out=out)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Forgetting 50% of") == 1
    table = make_table(out)
    kept = ["method", "sampling", "ratio", "seed", "n_forget", "status"]
    assert table[kept].equals(alone[kept])
    # a batch in two halves: another rounding
    assert (table[["RA", "TA"]] - alone[["RA", "TA"]]).abs().max(axis=None) < 5
    assert not list(out.rglob("checkpoint*")) and not list(out.rglob(".*"))
    before = stamps(out)
    gru.run(replace(options, out=out), progress=False)
    assert stamps(out) == before


def test_torchrun_is_no_sweep(manifest, refused, monkeypatch):
    monkeypatch.setattr(plan, "world", lambda: (0, 2))
    words, said = f"run --manifest {manifest} --groups 1,0", "leave out --scheduler and --jobs"
    refused([(f"{words} --jobs 2", said), (f"{words} --scheduler tcp://127.0.0.1:9", said)])


def test_one_process_of_several_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["run", "--benchmark", "waterdigit"]) == 2
    said = capsys.readouterr()
    assert said.out == said.err == ""
