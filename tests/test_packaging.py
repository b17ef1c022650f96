"""The files that say what to install agree with each other."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from commands import files_of_git
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import gru_lite as gru

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ALL = PROJECT["dependencies"] + [r for extra in PROJECT["optional-dependencies"].values() for r in extra]
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def locked():
    """{name: [pinned requirements]}, for there may be one pin for each Python version."""
    pins = {}
    for line in LOCK.splitlines():
        pins.setdefault(canonicalize_name(Requirement(line).name), []).append(Requirement(line))
    return pins


def test_lock_covers_pyproject():
    wrong, pins = [], locked()
    for wanted in map(Requirement, ALL):
        found = pins.get(canonicalize_name(wanted.name), [])
        versions = [version for pin in found for version in pin.specifier]
        fits = [v.operator == "==" and wanted.specifier.contains(v.version) for v in versions]
        if not fits or not all(fits):
            wrong.append(
                f"{wanted} is {', '.join(map(str, found)) or 'missing'} in requirements.txt: make lock"
            )
    assert not wrong, "\n".join(wrong)


def test_lock_names_no_address():
    assert not re.search(r"https?:|--|@|(?<![\w.])/", LOCK)
    assert "uv" in locked(), "make venv installs uv from this line"


def test_environment_agrees_with_pyproject():
    env = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert env["name"] == PROJECT["name"]
    python, pip = env["dependencies"][0], env["dependencies"][-1]["pip"]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    # One list of versions, not two. As constraints: the lock also names what only the CUDA build needs.
    assert pip[1:] == ["-c requirements.txt", "-e .[book]"] and "book" in PROJECT["optional-dependencies"]
    assert pip[0] == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert not re.search(r"\[", LOCK), "pip takes no extras in constraints"


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert gru.__version__ == PROJECT["version"] == citation["version"]


def test_files_name_no_machine():
    """No path, user or host of the machine where something was made."""
    own = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/|ipykernel_\d")
    for name in files_of_git(ROOT):
        path = ROOT / name
        ours = path != Path(__file__) and "mathjax" not in name
        if not ours or path.suffix in (".ico", ".png"):
            continue
        text = re.sub(r'"image/png": ".*"', "", path.read_text(encoding="utf-8"))
        found = [line.strip()[:120] for line in text.splitlines() if own.search(line)]
        assert not found or name == "book/_tools/lessons.py", f"{name}: {found}"


# Everything public, in a Python where only what Colab has can be imported.
IMPORT_ALL = """
import sys
sys.modules.update(dict.fromkeys({refused}))  # None: importing it fails
import gru_lite
for name in gru_lite.__all__:
    getattr(gru_lite, name)
"""


@pytest.mark.slow
def test_package_imports_without_extras():
    """The book's, the cluster's and the text's dependencies are asked for where they are needed."""
    extras = [Requirement(r).name for extra in PROJECT["optional-dependencies"].values() for r in extra]
    refused = {name.replace("-", "_") for name in extras} | {"distributed", "huggingface_hub", "tyro", "yaml"}
    assert {"dask", "transformers", "jupyter_book", "papermill"} <= refused
    code = IMPORT_ALL.format(refused=sorted(refused))
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# What a reader does who has the wheel alone. Prints where the package lies, and what it read.
WITHOUT_CHECKOUT = """
import json, sys
import gru_lite as gru
from gru_lite.experiment.store import provenance
bench = gru.load("waterdigits")
records = {name: [*gru.read_record(name)[0].shape] for name in sys.argv[1:]}
said = {"place": gru.__file__, "path": sys.path, "records": records, "images": len(bench.train)}
print(json.dumps(said | {"tuned": str(gru.tuned("miu")), "commit": provenance()["commit"]}))
"""


@pytest.mark.slow
def test_the_wheel_needs_no_checkout(tmp_path):
    """In a fresh environment and an empty folder. Only its dependencies come from this environment."""
    wheels, place, empty = tmp_path / "wheels", tmp_path / "env", tmp_path / "empty"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def run(*words, cwd=empty):
        done = subprocess.run(
            [*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout

    empty.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)  # somebody else's repository
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels, cwd=ROOT)
    (wheel,) = wheels.iterdir()
    assert wheel.stat().st_size < 1_100_000  # the records are most of it
    run(sys.executable, "-m", "venv", place)
    bin = place / ("Scripts" if sys.platform == "win32" else "bin")
    run(bin / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    # A folder that a .pth names isn't searched for further ones, so this checkout isn't found through it.
    (site,) = place.rglob("site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    names = sorted(file.stem for file in (ROOT / "results").glob("*.csv"))
    assert "waterdigits_requests" in names
    said = json.loads(run(bin / "python", "-c", WITHOUT_CHECKOUT, *names))
    assert Path(said["place"]) == site / "gru_lite" / "__init__.py" and str(ROOT) not in said["path"]
    assert said["records"] == {name: [*gru.read_record(name)[0].shape] for name in names}
    assert said["images"] == len(gru.load("waterdigits").train)
    assert said["tuned"] == str(gru.tuned("miu")) and said["commit"] == "unknown"

    assert "prepare" in run(bin / "gru-lite", "--help") == run(bin / "python", "-m", "gru_lite", "--help")
    trial = "run --benchmark waterdigits_small --methods finetune --epochs 1 --seeds 1 --jobs 1"
    assert "fine-tune" in run(bin / "gru-lite", *trial.split(), "--out", "trial", "--record", "record.csv")
    assert "# commit: unknown\n" in (empty / "record.csv").read_text()
    assert (empty / "trial" / "table.csv").is_file()
