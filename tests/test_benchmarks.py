"""The benchmark scripts run, on a few pictures: their numbers are read, not judged."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.slow


def run(script, *arguments):
    done = subprocess.run([sys.executable, BENCHMARKS / script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pipeline():
    said = run(
        "pipeline.py", *"--images 60 --image-size 32 --epochs 1 --rounds 1 --workers 1 --device cpu".split()
    )
    rows = re.findall(
        r"^  (ours|ordinary|ceiling)\b.* (\d+\.\d+) +(\d+\.\d+) +(\d+\.\d+)$", said, re.MULTILINE
    )
    assert [row[0] for row in rows] == [
        *("ours", "ordinary", "ordinary", "ceiling"),
        *("ours", "ordinary", "ceiling"),
        *("ours", "ordinary", "ordinary", "ceiling"),
    ]
    assert all(float(row[2]) == 1 for row in rows if row[0] == "ours")
    assert all(float(row[3]) == 1 for row in rows if row[0] == "ceiling")


def test_a_square_picture_is_not_changed_by_the_cache():
    """It is resized as ordinarily; every other shape is squashed."""
    said = run("cache.py", "--pictures", "2")
    means = dict(re.findall(r"(\d+ x \d+)  evaluation view +(\d+\.\d+)", said))
    assert float(means.pop("400 x 400")) == 0 and len(means) == 4
    assert all(0 < float(mean) < 10 for mean in means.values())
