"""Many processes: a sweep on a Dask cluster of two workers, and one experiment under torchrun."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest

import gru_lite as gru
from gru_lite import cli, experiment

dask = pytest.importorskip("dask.distributed", reason="skipped: no dask")
from dask import config  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    # a killed worker needs its time to come back on a busy machine
    with config.set({"distributed.deploy.lost-worker-timeout": "300s"}):
        with dask.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
            yield made


@pytest.fixture(scope="module")
def options(manifest):
    return gru.RunOptions(
        manifest=manifest, groups=("1,0",), methods=("finetune",), seeds=1, epochs=3, jobs=1
    )


@pytest.fixture(scope="module")
def alone(options, tmp_path_factory):
    """The table of one process."""
    return gru.run(replace(options, out=tmp_path_factory.mktemp("alone") / "out"), progress=False)


def text(table):
    """A table as its file has it, but for the seconds."""
    return table.drop(columns=["seconds", "share"]).to_csv(index=False)


def flags(options, out, *more):
    words = [
        "run",
        "--manifest",
        options.manifest,
        "--groups",
        "1,0",
        "--methods",
        "finetune",
        "--seeds",
        1,
        "--epochs",
        3,
        "--out",
        out,
        *more,
    ]
    return list(map(str, words))


def stamps(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("runs/*/run.json")}


def wait_for(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_same_table(options, alone, cluster, tmp_path, monkeypatch):
    """With a relative folder, too: the workers are elsewhere."""
    monkeypatch.chdir(tmp_path)
    table = gru.run(replace(options, scheduler=cluster.scheduler_address, out="out"), progress=False)
    assert text(table) == text(alone)
    written = pd.read_csv(tmp_path / "out" / "table.csv", dtype={"ratio": str}, keep_default_na=False)
    assert written["method"].tolist() == alone["method"].tolist()


def test_a_killed_client(options, alone, cluster, tmp_path):
    """What is finished stays, what is not is computed by the same command."""
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "gru_lite",
        *flags(options, out, "--scheduler", cluster.scheduler_address),
    ]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: stamps(out) or client.poll() is not None)
    assert client.poll() is None
    client.send_signal(signal.SIGKILL)
    client.wait()
    before = stamps(out)
    assert before
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert before.items() <= stamps(out).items() and text(experiment.make_table(out)) == text(alone)


def kill_workers(cluster, out):
    """Kill both as soon as they have begun."""
    with dask.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        pids = list(client.run(os.getpid).values())
    wait_for(lambda: list(out.glob("runs/*")))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_killed_workers(options, alone, cluster, tmp_path):
    """Their runs are given to others, and continue from their checkpoints."""
    killer = threading.Thread(target=kill_workers, args=(cluster, tmp_path / "out"))
    killer.start()
    table = gru.run(
        replace(options, scheduler=cluster.scheduler_address, out=tmp_path / "out"), progress=False
    )
    killer.join()
    assert text(table) == text(alone)


def test_a_run_that_takes_its_worker_down(options, alone, cluster, tmp_path, capsys, monkeypatch):
    """One line names it, and the same command finishes once the cause is gone."""
    words = flags(options, tmp_path / "out", "--scheduler", cluster.scheduler_address)
    killer = threading.Thread(target=kill_workers, args=(cluster, tmp_path / "out"))
    with monkeypatch.context() as patch:
        patch.setattr(cluster.scheduler, "allowed_failures", 0)
        killer.start()
        assert cli.main(words) == 1
        killer.join()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gru-lite: error: ")]
    assert (
        len(said) == 1
        and "-s0-" in said[0]
        and said[0].endswith("what is finished is kept, and the same command continues")
    )
    assert cli.main(words) == 0
    assert text(experiment.make_table(tmp_path / "out")) == text(alone)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "http://nowhere:x"])
def test_an_address_without_a_scheduler(address, options, tmp_path, capsys):
    assert cli.main(flags(options, tmp_path / "out", "--scheduler", address)) == 2
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1
        and f"--scheduler {address} cannot be reached: start one with `dask scheduler`" in said
    )
    assert not (tmp_path / "out").exists()


def test_torchrun(options, alone, tmp_path):
    """Both processes execute each run.

    One decides, writes and prints. The folder is continued by either command.
    """
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "gru_lite",
        *flags(options, out),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Forgetting 50% of") == 1
    table = experiment.make_table(out)
    kept = ["method", "sampling", "ratio", "seed", "n_forget", "status"]
    pd.testing.assert_frame_equal(table[kept], alone[kept])
    assert (table[["RA", "TA"]] - alone[["RA", "TA"]]).abs().max(
        axis=None
    ) < 5  # a batch in two halves: another rounding
    assert not list(out.rglob("checkpoint*")) and not list(out.rglob(".*"))
    before = stamps(out)
    gru.run(replace(options, out=out), progress=False)
    assert stamps(out) == before


@pytest.mark.parametrize("more", [["--jobs", "2"], ["--scheduler", "tcp://127.0.0.1:9"]])
def test_torchrun_is_no_sweep(more, options, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(experiment, "world_size", lambda: 2)
    assert cli.main(flags(options, tmp_path / "out", *more)) == 2
    assert "leave out --scheduler and --jobs" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_one_process_of_several_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["run", "--benchmark", "waterdigit"]) == 2
    said = capsys.readouterr()
    assert said.out == said.err == ""
