"""Every checked claim of the lessons under other arithmetics and seeds: it must hold on any CPU.

    claims.py [NAME ...]     all lessons, or the named ones (01, 01_slug)

Lessons are executed in profile full, and a claim that does not hold stops its lesson. The arithmetics are
those of older processors, which this one imitates; two further seeds show claims that rest on one. What was
executed with the same lesson and the same package is kept in _build/claims and not executed again.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import lessons

FOLDER = lessons.ROOT / "_build" / "claims"
SSE = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
CASES = {  # name -> (environment, seed)
    "as it is": ({}, 0),
    "avx2": (AVX2, 0),
    "sse": (SSE, 0),
    "seed 1": ({}, 1),
    "seed 2": ({}, 2),
}


def is_known(script: Path, folder: Path) -> bool:
    """Whether a lesson was executed in this folder with the same source and package."""
    about = lessons.provenance_of(folder / f"{script.stem}.ipynb")
    return (about.get("source"), about.get("package")) == (
        lessons.source_hash(script),
        lessons.package_hash(),
    )


def main(names: list[str]) -> int:
    """Execute what is not known; return how many lessons failed."""
    failed = 0
    for case, (environment, seed) in CASES.items():
        folder = FOLDER / case.replace(" ", "_")
        for script in lessons.lessons(names):
            start = time.perf_counter()
            said = "held before"
            if not is_known(script, folder):
                command = [
                    sys.executable,
                    lessons.__file__,
                    "execute",
                    script.stem,
                    "--seed",
                    str(seed),
                    "--out",
                    folder,
                ]
                done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
                said = f"holds, {time.perf_counter() - start:.0f} s"
                if done.returncode:
                    failed += 1
                    said = "DOES NOT HOLD\n" + (done.stdout + done.stderr)[-3000:]
            print(f"{case}: {script.stem}: {said}", flush=True)
    print(
        f"{failed} lessons have a claim that does not hold" if failed else "every claim holds in every case"
    )
    return failed


if __name__ == "__main__":
    try:
        sys.exit(min(main(sys.argv[1:]), 1))
    except lessons.LessonError as error:
        sys.exit(f"claims: {error}")
