"""The results folder, and tables that are recorded beside how they were made::

    OUT/recipe.json   what the folder's runs share; another recipe is refused
    OUT/runs/NAME/    one run: run.json (scores, seconds, configuration) once it is finished, its model where
                      that is kept, and a checkpoint while it trains
    OUT/curves.csv    of --curves: the accuracies after every epoch, from each run's curve.csv
    OUT/table.csv     a row for each method, reweight, ratio and seed; made from the runs, never edited
                      (of a tuning: tuning.csv and chosen.json, see `gru_lite.experiment.tuning`)

Every file appears whole or not at all.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch

from .. import __version__
from ..errors import InputError
from ..files import whole
from ..scores import Scores
from ..train.parallel import is_main

# The status of a method whose tuning found nothing: it is not run.
FAILED_SEARCH = "failed search: no trial was better than doing nothing"
ROOT = Path(__file__).parents[2]  # of a checkout
PACKAGED = Path(__file__).parents[1] / "results"  # of an installed wheel alone
FIELDS = set("method sampling ratio seed config n_forget scores seconds status".split())  # of a run.json


@dataclass(frozen=True)
class Run:
    """One trained model, as the folder names it.

    Attributes:
        method: "original", "retrain", "reference_K", "ceiling" or the name of a method.
        sampling: "none" without REWEIGHT, "replacement" or "top_up".
        ratio: text; None: the original, which no request touches.
        seed: integer >= 0.
        trial: of a tuning, which configuration of the method.
    """

    method: str
    sampling: str
    ratio: str | None
    seed: int
    trial: int | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        parts = [self.method.replace(":", "."), self.sampling if self.sampling != "none" else None]
        parts += [f"r{self.ratio}" if self.ratio else None, f"s{self.seed}"]
        parts += [f"t{self.trial}" if self.trial is not None else None]
        return "-".join(part for part in parts if part)


def reference_number(method: str) -> int:
    """Return which further training of a run it is: k of reference_k, 1 of the ceiling, else 0."""
    if method == "ceiling":
        return 1
    return int(method.removeprefix("reference_")) if method.startswith("reference_") else 0


def write_text(file: Path, text: str) -> None:
    """Write a text file, atomically; of the processes of torchrun, the first writes it."""
    if is_main():
        with whole(file) as partial:
            partial.write_text(text)


def claim_folder(out: Path, recipe: dict) -> None:
    """Refuse a folder that holds something else; otherwise write the recipe into it."""
    file = out / "recipe.json"
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file: name a folder")
    if file.is_file():
        existing = _read_json(file, {"data"})
        for key in dict.fromkeys([*recipe, *existing]):
            theirs, ours, name = existing.get(key), recipe.get(key), key
            if isinstance(theirs, dict) and isinstance(ours, dict):  # of the training, name what differs
                name = next((k for k in ours if ours[k] != theirs.get(k)), key)
                theirs, ours = theirs.get(name), ours.get(name)
            if theirs != ours:
                raise InputError(
                    f"{out} belongs to another recipe: its {name} "
                    f"is {theirs}, yours {ours}; use another --out"
                )
    elif out.is_dir() and any(not found.name.startswith(".") for found in out.iterdir()):
        # A name with "." may be from a kill here.
        raise InputError(f"--out {out} holds other files: name a new or an empty folder")
    else:
        try:
            write_text(file, json.dumps(recipe, indent=1))
        except OSError as error:
            raise InputError(f"--out {out} cannot be written: {error.strerror}") from None


def read_recipe(out: Path) -> dict:
    """Return the recipe of a results folder."""
    return _read_json(Path(out) / "recipe.json", {"data", "reference"})


def read_run(file: Path) -> dict:
    """Return the record of a finished run; its "scores" are Scores, or None where it diverged."""
    record = _read_json(file, FIELDS)
    try:
        record["scores"] = record["scores"] and Scores.from_flat(record["scores"])
    except (TypeError, ValueError, AttributeError):
        raise _damaged(file) from None
    return record


def _read_json(file, keys):
    try:
        content = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict) or not keys <= set(content):
        raise _damaged(file)
    return content


def _damaged(file):
    if file.name == "recipe.json":
        return InputError(f"{file} is damaged: use another --out")
    return InputError(f"{file} is damaged: delete it, and what it held is computed again")


# Records


def check_record(file: Path) -> None:
    """Refuse a --record that would replace something else than a record."""
    if not file.parent.is_dir():
        raise InputError(f"--record {file}: there is no folder {file.parent}")
    if file.is_dir() or (file.exists() and not file.read_bytes().startswith(b"# command: ")):
        raise InputError(f"--record {file} is not a recorded table: name a new CSV file")


def record(table: pd.DataFrame, file: str | Path, command: str) -> None:
    """Write a table as CSV, numbers with seven digits, below comment lines that say how it was made;
    `read_record` reads it back.
    """
    about = provenance(command) | {"seeds": f"{table['seed'].min()} to {table['seed'].max()}"}
    head = "".join(f"# {key}: {value}\n" for key, value in about.items())
    write_text(Path(file), head + rounded(table).to_csv(index=False, lineterminator="\n"))


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers have seven digits, as many as a float32 holds."""
    numbers = table.select_dtypes("float")
    return table.assign(**{name: numbers[name].map(lambda x: float(f"{x:.7g}")) for name in numbers})


def read_record(name: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read a recorded table of the book: a file of the repository's folder results/, or of the wheel's.

    Args:
        name: of the table, without its folder and ".csv".

    Returns:
        the table, and what its comment lines say, such as command, commit, versions, device, date, seeds.
    """
    file = (PACKAGED if PACKAGED.is_dir() else ROOT / "results") / f"{name}.csv"
    if not file.is_file():
        known = sorted(path.stem for path in file.parent.glob("*.csv"))
        raise InputError(
            f"there is no recorded table {name!r} in {file.parent}; there are: {', '.join(known) or 'none'}"
        )
    with open(file) as lines:
        about = [line[2:].rstrip("\n").split(": ", 1) for line in lines if line.startswith("# ")]
    return read_csv(file), dict(about)


def read_csv(file: str | Path) -> pd.DataFrame:
    """Read a results table: a ratio is a text, a sampling that is not named is "none", every digit counts."""
    kinds = {"ratio": str, "sampling": str}
    version = [int(part) for part in pd.__version__.split(".")[:2]]
    older = version < [3, 1]  # later ones read every digit unasked
    exact = {"float_precision": "round_trip"} if older else {}
    return pd.read_csv(file, comment="#", dtype=kinds, **exact).fillna({"sampling": "none"})


def provenance(command: str | None = None) -> dict[str, str]:
    """Return where and with what something was computed, as short texts; no paths, users or host names."""
    import sklearn
    import torchvision

    versions = {
        "python": platform.python_version(), "gru_lite": __version__, "torch": torch.__version__,
        "torchvision": torchvision.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__,
    }  # fmt: skip
    about = {
        "command": command, "commit": commit(),
        "versions": " ".join(f"{name}={version}" for name, version in versions.items()),
        "device": device_name(), "date": pd.Timestamp.now(tz="UTC").strftime("%Y-%m-%d"),
    }  # fmt: skip
    return {key: value for key, value in about.items() if value}


def commit() -> str:
    """Return the commit of this checkout; "unknown" without one, even inside another repository."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return "unknown"
    asked = ["git", "rev-parse", "--short=12", "HEAD"]
    git = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return git.stdout.strip() or "unknown"


def device_name() -> str:
    """Return the GPU's name, or the CPU's and how many cores may be used."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{cpu_model()}, {joblib.cpu_count()} cores"


def cpu_model() -> str:
    """Return the processor's name, as its system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
