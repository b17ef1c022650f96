"""Every lesson runs in profile smoke; asked for (`make smoke`), a second execution prints the same text."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STEMS = sorted(p.stem for p in (ROOT / "notebooks").glob("[0-9][0-9]_*.py"))


@pytest.mark.slow
@pytest.mark.lessons
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("times", ["once", pytest.param("twice", marks=pytest.mark.twice)])
def test_lesson_runs(stem, times, tmp_path):
    script = ROOT / "book" / "_tools" / "lessons.py"
    # Each of two tests at a time has a core, and starts no processes of its own.
    alone = {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, script, "execute", stem, "--profile", "smoke", "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | alone,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    if times == "once":
        return
    # nbval starts the kernel in the notebook's folder: lessons must not depend on where they run.
    settings = alone | {"TQDM_DISABLE": "1", "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env",
         "--rootdir", tmp_path, "-c", os.devnull, tmp_path / f"{stem}.ipynb"],
        cwd=tmp_path, capture_output=True, text=True, env=os.environ | settings,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout[-6000:] + again.stderr[-2000:]
