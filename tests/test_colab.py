"""Colab, Binder and a fork: addresses, first cells, what is said of GPUs and minutes, and a mounted folder.

The notebooks themselves are executed by `make test-colab`.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
import torch
import yaml
from commands import files_of_git, words_of
from packaging.requirements import Requirement
from test_packaging import PROJECT

import gru_lite as gru
from gru_lite import cli
from gru_lite import colab as on_colab
from gru_lite.data.images import Decoder
from gru_lite.data.waterbirds import write_example_tree

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import colab  # noqa: E402
import lessons  # noqa: E402

pytestmark = pytest.mark.book
URL, BRANCH = lessons.repository()
OWN = "me/my.course"  # another address is put together: `make fork` changes whole ones, in this file, too
MINE = f"https://github.com/{OWN}"


# ------------------------------------------------ what a notebook says first


@pytest.mark.parametrize("script", lessons.lessons(), ids=lambda script: script.stem)
def test_the_first_code_cell_is_for_colab_and_does_nothing_elsewhere(script):
    _, badge, first, *_ = lessons.notebook(script, twin=True).cells
    assert f"git+{URL}@{BRANCH}#egg=gru-lite" in first.source and f'welcome("{script.stem}")' in first.source
    assert first.source.startswith("# For Colab; anywhere else this cell does nothing.")
    plain = first.source.replace("!pip", "raise SystemExit  #")
    exec(plain, {})  # google.colab isn't imported here
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setitem(sys.modules, "google.colab", sys)
        exec(plain, {})
    image, link = re.fullmatch(r"\[!\[Open in Colab\]\((.+)\)\]\((.+)\)", badge.source).groups()
    assert link == lessons.colab_url(script.stem)
    assert (lessons.NOTEBOOKS / image).resolve() == ROOT / lessons.BADGE


@pytest.mark.parametrize("name", ["open-in-colab", "launch-binder"])
def test_badges_are_local_files_that_ask_for_nothing(name):
    text = (ROOT / "book" / "_static" / f"{name}.svg").read_text(encoding="utf-8")
    assert name.replace("-", " ") in re.search('aria-label="(.+?)"', text)[1].lower()
    assert not re.search(r"href|url\(|@import|<image|<script", text)


def test_an_executed_lesson_names_no_address():
    """So a new address makes no lesson stale."""
    for path in lessons.EXECUTED.glob("*.ipynb"):
        assert URL not in path.read_text(encoding="utf-8"), path.name


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Write the record of a lesson that took 90 seconds on a GPU, or on none."""
    monkeypatch.setattr(on_colab, "EXECUTED", tmp_path)

    def make(gpu):
        about = {
            "date": "2026-01-02",
            "profile": "full",
            "seconds": 90,
            "cores": 3,
            "cpu": "A CPU",
            "gpu": gpu,
        }
        (tmp_path / "00_made_up.ipynb").write_text(json.dumps({"metadata": {"gru_lite": about}}))

    return make


def see_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")


def test_minutes_are_said_where_they_were_measured(executed, monkeypatch, capsys):
    executed("none")
    on_colab.welcome("00_made_up")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"gru_lite {gru.__version__} is installed."
    assert said[1].startswith("No GPU: the CPU does the work")
    assert said[2] == "Measured on 2026-01-02, profile full: 1.5 minutes on 3 cores of A CPU."
    see_gpu(monkeypatch)
    assert on_colab.device_line() == "GPU: Tesla T4. It does the work."
    assert "on a GPU has not been measured" in on_colab.time_line("00_made_up")
    executed("NVIDIA H200")
    assert on_colab.time_line("00_made_up").endswith(": 1.5 minutes on NVIDIA H200.")


def test_minutes_of_a_gpu_say_nothing_of_a_cpu(executed):
    executed("NVIDIA H200")
    for name in ("00_made_up", "hw1"):
        assert on_colab.time_line(name) == "How long this notebook takes on a CPU has not been measured."


def test_minutes_of_the_book():
    about = lessons.provenance_of(lessons.EXECUTED / "00_start_here.ipynb")
    assert about["gpu"] != "none" or f"{about['seconds'] / 60:.1f} minutes" in on_colab.time_line(
        "00_start_here"
    )


# ------------------------------------------------ assignments


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("otter"), reason="needs the extra `course`")
def test_an_assignment_begins_on_colab(tmp_path, monkeypatch):
    def course(*words):
        command = [sys.executable, ROOT / "assignments" / "course.py", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert course("build", "--built", tmp_path / "built").returncode == 0
    student = nbformat.read(tmp_path / "built" / "hw1" / "student" / "hw1.ipynb", as_version=4)
    first, otter = student.cells[:2]
    assert "google.colab" in first.source and URL in first.source and 'welcome("hw1")' in first.source
    assert "course.py checks hw1" in first.source and otter.source.startswith("# Initialize Otter")
    # Neither the first cell nor what it imports is an answer.
    monkeypatch.syspath_prepend(str(ROOT / "assignments"))
    answers = importlib.import_module("course").plan_of("hw1", tmp_path / "built").answers
    assert "sys" not in sum(answers.values(), []) and len(answers) == 7
    (tmp_path / "hw1.ipynb").write_text("mine")
    run = course("checks", "hw1")
    assert run.returncode == 0 and run.stdout == "hw1: 7 checks in the folder tests\n"
    checks = {path.stem: path.read_text() for path in (tmp_path / "tests").iterdir()}
    assert checks == student.metadata["otter"]["tests"] and "hidden=True" not in "".join(checks.values())
    assert (tmp_path / "hw1.ipynb").read_text() == "mine"
    assert course("checks", "hw9").stderr == "there is no assignment hw9\n"


# ------------------------------------------------ the environment and its run


def test_the_environment_has_what_the_package_needs_and_pins_nothing():
    names = {Requirement(line).name for line in colab.PACKAGES}
    assert not [line for line in colab.PACKAGES if Requirement(line).specifier]
    assert {Requirement(line).name for line in PROJECT["dependencies"]} <= names


@pytest.fixture
def without_machines(monkeypatch):
    """Three notebooks that take no time, and no environment for them."""
    monkeypatch.setattr(colab, "shell", lambda *_, **__: "")
    monkeypatch.setattr(colab, "newest_python", lambda: "python")
    monkeypatch.setattr(colab, "make_machine", lambda *_: (None, "Python"))
    monkeypatch.setattr(colab, "is_busy", lambda: False)
    monkeypatch.setattr(colab, "notebooks", lambda *_: dict.fromkeys(["00_one", "01_two", "hw1"]))


def test_a_notebook_that_fails_names_itself_and_the_others_run(without_machines, monkeypatch, capsys):
    def execute(name, *_):
        if name == "00_one":
            raise colab.Failure("code cell 3: ValueError: no")
        return [(5, 4), (20, 9)]

    monkeypatch.setattr(colab, "execute", execute)
    with pytest.raises(colab.Failure, match="^failed: 00_one$"):
        colab.main(["--jobs", "1"])
    said = capsys.readouterr().out
    assert re.search(r"^00_one +FAILED: code cell 3: ValueError: no$", said, flags=re.M)
    assert re.search(r"^hw1 +passed: first cell +5 s \(CPU +4 s\), all +20 s \(CPU +9 s\)$", said, flags=re.M)
    assert "2 passed, 1 failed" in said
    monkeypatch.setattr(colab, "execute", lambda *_: [(5, 4), (20, 9)])
    colab.main([])
    assert "3 passed, 0 failed" in capsys.readouterr().out


def test_the_first_cell_is_looked_at(tmp_path, monkeypatch):
    def cell(text):
        return nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("stream", name="stdout", text=text)])

    packages = tmp_path / "python" / "lib" / "python3.13" / "site-packages"
    packages.mkdir(parents=True)
    right = cell("gru_lite 1 is installed.\nNo GPU: the CPU.\n")
    last = cell(f"1.5 {(tmp_path / 'content' / 'gru-lite').resolve()}/gru_lite/__init__.py\n")
    monkeypatch.setattr(colab, "is_busy", lambda: False)
    colab.look(right, last, 59, tmp_path)
    for first, end, seconds, wrong in [
        (cell(""), last, 1, "doesn't say"),
        (right, last, 61, "took 61 s"),
        (right, cell("1.5 /elsewhere/gru_lite/__init__.py"), 1, "not from the clone"),
    ]:
        with pytest.raises(colab.Failure, match=wrong):
            colab.look(first, end, seconds, tmp_path)
    (packages / "numpy").mkdir()
    with pytest.raises(colab.Failure, match="installed numpy again"):
        colab.look(right, last, 1, tmp_path)


def test_a_lesson_is_executed_in_smoke():
    twin = nbformat.read(lessons.NOTEBOOKS / "00_start_here.ipynb", as_version=4)
    colab.in_smoke(twin)
    (cell,) = [cell for cell in twin.cells if "parameters" in cell.metadata.get("tags", ())]
    names = {}
    exec(cell.source, names)
    assert (names["profile"], names["seed"]) == ("smoke", 0)
    with pytest.raises(colab.Failure, match="no cell tagged"):
        colab.in_smoke(nbformat.v4.new_notebook())


def test_it_runs_weekly():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "colab.yml").read_text(encoding="utf-8"))
    triggers = workflow[True]  # YAML takes `on` for true
    (moment,) = triggers["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", moment["cron"]) and "workflow_dispatch" in triggers
    steps = [step.get("run", "") for step in workflow["jobs"]["notebooks"]["steps"]]
    assert any(step.startswith("make test-colab") for step in steps)


# ------------------------------------------------ another address


@pytest.fixture
def copy(tmp_path):
    """This working tree as a repository of its own, with all that git knows of or would take."""
    place = tmp_path / "copy"
    for name in files_of_git(ROOT):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    git(place, "init", "--quiet")
    git(place, "add", "--all")
    return place


def git(place, *words):
    return subprocess.run(["git", "-C", place, *words], capture_output=True, text=True).stdout


def tool(place, name, *words):
    command = [sys.executable, place / "book" / "_tools" / name, *words]
    return subprocess.run(command, cwd=place, capture_output=True, text=True)


@pytest.mark.slow
def test_a_fork_has_its_own_address_everywhere(copy):
    old = URL.removeprefix("https://github.com/")
    with_address = git(copy, "grep", "-l", "-a", "-F", old).splitlines()
    assert {"_config.yml", "README.md", "notebooks/00_start_here.ipynb", "CITATION.cff"} <= {*with_address}
    done = tool(copy, "fork.py", f"{MINE}.git/")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()[:-1]) == sorted(with_address)

    assert git(copy, "grep", "-l", "-i", "-a", "-F", old) == ""
    owner, name = old.split("/")
    assert git(copy, "grep", "-l", "-i", "-a", "-F", f"{owner}.github.io/{name}") == ""
    check = tool(copy, "lessons.py", "check")
    assert check.returncode == 0, check.stderr
    twin = (copy / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")
    assert f"git+{MINE}@{BRANCH}#egg=gru-lite" in twin and f"/github/{OWN}/blob/{BRANCH}/notebooks/" in twin
    readme = (copy / "README.md").read_text(encoding="utf-8")
    assert f"/gh/{OWN}/{BRANCH}?urlpath=lab/tree/notebooks/00_start_here.ipynb" in readme
    assert yaml.safe_load((copy / "CITATION.cff").read_text(encoding="utf-8"))["repository-code"] == MINE
    # Nothing but addresses has changed: the way back leads to where it began.
    assert tool(copy, "fork.py", URL).returncode == 0
    assert git(copy, "diff", "--stat") == ""


@pytest.mark.slow
def test_a_bad_address_changes_nothing(copy):
    for url in ("", "me/course", "https://github.com/me", f"https://example.org/{OWN}", f"{MINE} x"):
        done = tool(copy, "fork.py", url)
        said = f"fork: URL={url} isn't the address of a repository, such as https://github.com/me/course\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
        assert git(copy, "diff", "--stat") == ""


def test_links_of_the_readme_are_those_of_the_tools():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in (lessons.colab_url("00_start_here"), lessons.binder_url("00_start_here")):
        assert f"]({link})" in readme
    for image in re.findall(r"\[!\[[^\]]+\]\(([^)]+)\)", readme):
        assert (ROOT / image).is_file()


# ------------------------------------------------ a folder that outlives the machine


@pytest.fixture
def mounted():
    """A folder on another file system than that of temporary files, as a mounted one is."""
    place = Path("/dev/shm")
    if not place.is_dir() or place.stat().st_dev == os.stat(tempfile.gettempdir()).st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_run_continues_from_a_mounted_folder(manifest, mounted, tmp_path, monkeypatch, capsys):
    options = gru.RunOptions(
        manifest=manifest, groups=("1,0",), methods=(), seeds=1, epochs=1, jobs=1, out=mounted / "run"
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(words_of(options)) == 0
    before = {path: path.read_bytes() for path in options.out.glob("runs/**/*") if path.is_file()}
    assert before and list(tmp_path.iterdir()) == []  # nothing is left on the machine that goes away
    stamps = {path: path.stat().st_mtime_ns for path in before}
    (tmp_path / "another").mkdir()
    monkeypatch.chdir(tmp_path / "another")
    assert cli.main(words_of(options)) == 0, capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in before} == stamps  # nothing is trained again


def test_data_on_a_mounted_folder_is_decoded_once(mounted, monkeypatch):
    write_example_tree(mounted, counts=((6, 2), (2, 6)), val_count=2, test_count=2)
    first = gru.load("waterbirds", root=mounted)
    assert (mounted / ".gru_lite").is_dir()
    monkeypatch.setattr(Decoder, "__call__", None)
    again = gru.load("waterbirds", root=mounted)
    assert (first.train.group == again.train.group).all() and len(again.train) == 16
