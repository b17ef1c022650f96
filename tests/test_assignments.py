"""The assignments: what is built, and what each kind of submission gets. All are graded in one go."""

import csv
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not find_spec("otter"), reason="needs the extra `course`")

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "assignments" / "course.py"
POINTS = {"q1": 2, "q2": 3, "q3": 1, "q4": 2, "q5": 3, "q6": 3, "q7": 2}  # and 4 of the written question
LIMIT = 10  # seconds that a cell may compute

# In place of three trained models, where a submission is about something else.
UNTRAINED = """
chance, target = np.random.default_rng(5), bench.test.target
right_on = {"original": 0.9, "retrain": 0.6, "reweight": 0.8}
errs = {name: chance.random(len(target)) > share for name, share in right_on.items()}
predicted = {name: np.where(wrong, 1 - target, target) for name, wrong in errs.items()}
own = bench.test.group == 2 * asked[0] + asked[1]
right = {name: predicted[name] == target for name in predicted}
harm = 100 * (right["original"][own].mean() - right["retrain"][own].mean())
gain = 100 * (right["reweight"][own].mean() - right["retrain"][own].mean())
"""

# Typical mistakes: what a right submission ends with, what is left of the question, and what is said of it.
MISTAKES = {
    "inverted weights": ("weights = n_retain / n_train", {"q1": 1}, "upside down"),
    "scaled weights": ("weights = weights / weights.sum()", {"q1": 1}, "add up to 1"),
    "counts of F": ("n_retain = n_train - n_retain", {"q1": 1}, "counts the images of F"),
    "shares": ("RA, GA = RA / 100, GA / 100", {"q2": 1}, "RA is a share"),
    "UA as an error": ("UA = 100 - UA", {"q2": 2}, "the book's UA is the accuracy"),
    "UA of the group": (
        "UA = 100 * right_train[bench.train.group == 2 * asked[0] + asked[1]].mean()",
        {"q2": 2},
        "UA is over the whole group",
    ),
    "worst group by name": ("worst = np.argmin(of_group)", {"q2": 2}, "worst is the number of the group"),
    "larger distance": ("EO = np.abs(table[:, 0] - table[:, 1]).max()", {"q3": 0}, "EO is the larger"),
    "wrong axis": ("EO = np.abs(table[0] - table[1]).mean()", {"q3": 0}, "EO is between targets"),
    "distance": (
        "to_reference = {name: 100 - gap for name, gap in to_reference.items()}",
        {"q4": 1},
        "to_reference is the distance",
    ),
    "signed mean": (
        "to_ceiling = {name: 100 - abs((scores[name] - scores['ceiling']).mean()) for name in to_ceiling}",
        {"q4": 1},
        "to_ceiling lets differences of opposite sign cancel",
    ),
    "the further one": (
        "ahead = {of: {'original': 'retrain', 'retrain': 'original'}[name] for of, name in ahead.items()}",
        {"q4": 1},
        "names the model that is further away",
    ),
    "unpaired": (
        "half = stats.t.ppf(0.975, n - 1) * np.sqrt((GA_retrain.var(ddof=1) + GA_reweight.var(ddof=1)) / n)",
        {"q5": 2},
        "half ignores that the seeds are paired",
    ),
    "1.96": ("half = 1.96 * difference.std(ddof=1) / np.sqrt(n)", {"q5": 2}, "half uses 1.96"),
    "spread of seeds": (
        "half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1)",
        {"q5": 2},
        "half is about single seeds",
    ),
    "wrong sign": ("mean = -mean", {"q5": 2}, "mean has the wrong sign"),
    "tie": ("verdicts = ['tie', 'tie']", {"q5": 2}, "'tie' is none of shown"),
    "no weights": (
        "draws = np.random.default_rng(0).integers(0, len(sample_weights), 5 * len(sample_weights))",
        {"q6": 2},
        "draw ignores the weights",
    ),
    "balanced groups": (
        "g = bench.train.group[split.retain]\nw = 1 / np.bincount(g)[g]\n"
        "draws = draw(np.random.default_rng(0), w, 5 * len(w))",
        {"q6": 2},
        "draw takes each group equally often",
    ),
    "positions in D": ("draws = split.retain[draws]", {"q6": 2}, "no positions in weights"),
    "global ess": ("ess_group = ess", {"q6": 2}, "ess_group is that of all images"),
    "size before": ("ess_group = n_train[2 * asked[0] + asked[1]]", {"q6": 2}, "the size before the request"),
    "harm as a change": ("harm = -harm", {"q7": 1}, "harm has the wrong sign"),
    "all test images": (
        "gain = 100 * (right['reweight'].mean() - right['retrain'].mean())",
        {"q7": 1},
        "gain is over all test images",
    ),
}

# A last cell that a right submission can't lose or gain a point by, and what is said of it.
HARMLESS = {
    "redefines": (
        "np = grader = bench = None\nsum = max",
        ["redefines np", "redefines bench", "Python's sum"],
    ),
    "prints a megabyte": ("print('x' * 2_000_000)", ["printed more than 100 kB"]),
    "reads outside": (
        f"open({str(COURSE.with_name('hw1.py'))!r}).read()",
        ["read outside of its folder (hw1.py)"],
    ),
    "writes outside": (f"open({str(ROOT / 'mine.txt')!r}, 'w')", ["write outside of its folder (mine.txt)"]),
    "starts a program": ("import subprocess\nsubprocess.run(['ls'])", ["tried to use subprocess.Popen"]),
    "exits": ("import os\nos._exit(0)", ["ended the process"]),
    "takes all memory": ("many = np.ones(2 * 10**9)", ["MemoryError"]),
    "loops": ("while True:\n    pass", [f"TimeoutError: it was stopped after {LIMIT} s"]),
    "can't be stopped": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        [f"stopped after {LIMIT} s"],
    ),
}

# The starter with these cells tries to mark itself: with answers that equal everything and files of results,
# then with other functions in the place of those of Python and of the grader.
SELF_MARKING = (
    f"""
import json, pathlib

class Right(float):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __hash__ = float.__hash__

n_train = n_retain = weights = draws = [Right(1)] * 4
RA = UA = GA = worst = EO = mean = half = ess = ess_group = harm = gain = Right(1)
verdicts = ahead = to_reference = to_ceiling = predicted = Right(1)
points = dict.fromkeys({list(POINTS)}, 99)
marks = json.dumps({{"student": 0, "points": points, "out_of": {{}}, "said": {{}}, "notes": []}})
for place in (".", "..", {str(COURSE.parent)!r}):
    for name in ("result.json", "hw1_gradescope.zip"):
        try:
            pathlib.Path(place, name).write_text(marks)
        except OSError:
            pass
""",
    """
import builtins, sys

builtins.abs = builtins.min = builtins.max = lambda *_: Right(99)
frame = sys._getframe()
while frame:
    if "write_answers" in frame.f_globals:
        frame.f_globals.update(dict.fromkeys(("judge", "message", "grade_one", "write_table"), Right(99)))
    frame = frame.f_back
""",
)

# What no hook of Python sees: torch maps a file by itself.
UNSEEN = f"""
import torch
stolen = torch.UntypedStorage.from_file({str(COURSE.with_name("hw1.py"))!r}, False, 100)
n_train, n_retain = [1, 2, 3, 4], [1, 2, 3, 4]
"""


def read(file):
    return json.loads(file.read_text())


def with_cells(notebook, *sources, replace=(), student=0):
    """A notebook with code cells added; of `replace`, (text, source) puts a source in the place of cells."""
    cells = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        new = next((source for part, source in replace if part in text), text)
        if new is not None:
            new = re.sub(r"^student = 0", f"student = {student}", new)
            cells.append(cell | {"source": new})
    added = [
        {
            "cell_type": "code",
            "id": f"added{n}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": s,
        }
        for n, s in enumerate(sources)
    ]
    return notebook | {"cells": cells + added}


def rounds():
    """Lists of mistakes, in which each is about another question."""
    by_question = {}
    for mistake in MISTAKES.values():
        by_question.setdefault(next(iter(mistake[1])), []).append(mistake)
    return list(itertools.zip_longest(*by_question.values()))


def course(*words):
    done = subprocess.run([sys.executable, COURSE, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the built assignments."""
    folder = tmp_path_factory.mktemp("built")
    course("build", "--built", folder)
    return folder


@pytest.mark.slow
def test_grading(built, tmp_path):
    home, folder = built / "hw1", tmp_path / "submissions"
    folder.mkdir()
    starter, solution = read(home / "student" / "hw1.ipynb"), read(home / "hw1_solution.ipynb")
    assert "test_q1_counts" not in json.dumps(starter), "the student's notebook holds hidden tests"
    assert "np.bincount" not in json.dumps(starter) and "Rubric" not in json.dumps(starter), "or solutions"

    quick = with_cells(solution, replace=[("gru.fit(", UNTRAINED)])
    eo = "EO = np.abs(table"
    submissions = {
        "solution": solution,
        "another number": with_cells(solution, student=1),
        "starter": starter,
        "answers of another number": with_cells(quick, "student = 1"),
        "raises": with_cells(quick, replace=[(eo, "1 / 0\nEO = 50")]),
        "lacks a cell": with_cells(quick, replace=[(eo, None)]),
        "no number": with_cells(quick, "student = 'me'"),
        "marks itself": with_cells(starter, *SELF_MARKING),
    }
    submissions |= {name: with_cells(quick, cell) for name, (cell, _) in HARMLESS.items()}
    several = {f"mistakes {n}": [m for m in mistakes if m] for n, mistakes in enumerate(rounds())}
    for name, mistakes in several.items():
        submissions[name] = with_cells(quick, *(cell for cell, _, _ in mistakes))
    if sys.platform.startswith("linux"):
        submissions["unseen"] = with_cells(quick, UNSEEN)
    for name, notebook in submissions.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook))
    (folder / "not a notebook.ipynb").write_text("I couldn't upload it, sorry.")
    os.symlink(home / "hw1_solution.ipynb", folder / "a link.ipynb")

    words = ["--size", "trial", "--limit", LIMIT, "--built", built, "--out", tmp_path / "grades.csv"]
    course("grade", folder, *words)
    with open(tmp_path / "grades.csv", newline="") as table:
        rows = {Path(row["file"]).stem: row for row in csv.DictReader(table)}

    everything = {
        "solution": (POINTS, ["All tests passed."]),
        "another number": (POINTS, ["All tests passed."]),
        "starter": (
            dict.fromkeys(POINTS, 0),
            ["q1: n_train has no answer yet.", "q7: predicted has no answer yet."],
        ),
        "raises": (
            POINTS | {"q3": 0},
            ["raised ZeroDivisionError: division by zero.", "q3: EO has no answer yet."],
        ),
        "lacks a cell": (POINTS | {"q3": 0}, ["It lacks the cell of q3."]),
        "no number": (POINTS, ["tudent isn't a whole number"]),
        "marks itself": (dict.fromkeys(POINTS, 0), ["outside of its folder", "q1: "]),
        "not a notebook": (dict.fromkeys(POINTS, 0), ["Not graded: it isn't a notebook"]),
        "a link": (dict.fromkeys(POINTS, 0), ["Not graded: it isn't a file"]),
    }
    for name, mistakes in several.items():
        left = {question: points for _, left, _ in mistakes for question, points in left.items()}
        everything[name] = POINTS | left, [said for _, _, said in mistakes]
    everything |= {name: (POINTS, said) for name, (_, said) in HARMLESS.items()}
    if sys.platform.startswith("linux"):
        everything["unseen"] = (POINTS, ["raised RuntimeError"])

    wrong = []
    for name, (points, said) in everything.items():
        row = rows[name]
        got = {question: float(row[question]) for question in POINTS}
        if got != points or float(row["total"]) != sum(points.values()):
            wrong.append(f"{name}: {got}; {row['what happened']}")
        wrong += [
            f"{name}: {text!r} isn't in {row['what happened']!r}"
            for text in said
            if text not in row["what happened"]
        ]
    assert not wrong, "\n".join(wrong)

    # The data of another number are others, and so are the answers.
    assert float(rows["answers of another number"]["total"]) < 8
    assert rows["another number"]["student"] == "1" and rows["solution"]["student"] == "0"
    assert "The same number was used by: " in rows["another number"]["what happened"]


OTTER = """
from otter.api import grade_submission
results = grade_submission("hw1.ipynb", "hw1_gradescope.zip", quiet=True)
print("points", results.total, "of", results.possible)
"""


@pytest.mark.slow
def test_gradescope_package(built, tmp_path):
    """What Gradescope runs, without its container: Otter's own grader gives the solution all points, too."""
    shutil.copy(built / "hw1" / "hw1_gradescope.zip", tmp_path)
    solution = (built / "hw1" / "hw1_solution.ipynb").read_text()
    (tmp_path / "hw1.ipynb").write_text(solution.replace('size = \\"full\\"', 'size = \\"trial\\"'))
    done = subprocess.run([sys.executable, "-c", OTTER], cwd=tmp_path, capture_output=True, text=True)
    assert "points 16 of 16" in done.stdout, done.stdout + done.stderr


def test_no_submissions(tmp_path):
    """A folder that doesn't exist, or an assignment that wasn't built, is said in a line."""
    for folder, built, said in (
        (tmp_path / "no", tmp_path, "no folder"),
        (tmp_path, tmp_path, "make assignments"),
    ):
        words = [sys.executable, COURSE, "grade", folder, "--built", built]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
