"""The assignments: what is built, and what each kind of submission gets.

`mistakes/hwN.py` holds what an assignment is tested with: POINTS, QUICK and MISTAKES, and perhaps OTHER_WAYS.
With NUMBERS=300 in the environment, these are tried with the data of so many students.
"""

import copy
import csv
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not find_spec("otter"), reason="needs the extra `course`")

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "assignments" / "course.py"
NAMES = sorted(source.stem for source in COURSE.parent.glob("hw*.py"))
OF = {name: importlib.import_module(f"mistakes.{name}") for name in NAMES}
NUMBERS = range(int(os.environ.get("NUMBERS", 2)))
LIMIT = 10  # seconds that a cell of a submission that misbehaves may compute

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
points = dict.fromkeys({list(OF["hw1"].POINTS)}, 99)
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


def one_of_each(mistakes):
    """The first mistake about each question."""
    first = {}
    for mistake in mistakes.values():
        first.setdefault(next(iter(mistake[1])), mistake)
    return list(first.values())


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


def starter_of(built, name):
    return read(built / name / "student" / f"{name}.ipynb")


def solution_of(built, name):
    return read(built / name / f"{name}_solution.ipynb")


def graded(folder, submissions, built, *words):
    """Write the notebooks into the folder and grade them, in size "trial": rows of the table by file."""
    folder.mkdir(exist_ok=True)
    for name, notebook in submissions.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook))
    table = folder.with_suffix(".csv")
    course("grade", folder, "--size", "trial", "--built", built, "--out", table, *words)
    with open(table, newline="") as file:
        return {Path(row["file"]).stem: row for row in csv.DictReader(file)}


def differences(rows, expected, name):
    """What is wrong with rows of an assignment, of which {file: (points, [what is said])} is expected."""
    wrong = []
    for file, (points, said) in expected.items():
        row = rows[file]
        got = {question: float(row[question] or 0) for question in points}
        if row["assignment"] != name or got != points or float(row["total"]) != sum(points.values()):
            wrong.append(f"{file}: {row['assignment']} {got}; {row['what happened']}")
        happened = row["what happened"]
        wrong += [f"{file}: {text!r} isn't in {happened!r}" for text in said if text not in happened]
    return "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_grading(name, built, tmp_path):
    points, quick = OF[name].POINTS, OF[name].QUICK
    starter, solution = starter_of(built, name), solution_of(built, name)
    text = json.dumps(starter)
    assert "hidden: true" not in text and not re.search(r"def test_q\d+_(?!form)", text), "hidden tests"
    assert "SOLUTION" not in text and "Rubric" not in text, "the student's notebook holds solutions"

    submissions = {
        "solution": solution,
        "another number": with_cells(solution, student=1),
        "starter": starter,
    }
    nothing = [f"{question}: " for question in points] + ["has no answer yet"]
    expected = {
        "solution": (points, []),
        "another number": (points, []),
        "starter": (dict.fromkeys(points, 0), nothing),
    }
    mistakes = one_of_each(OF[name].MISTAKES)
    cells = [cell for cell, _, _ in mistakes]
    submissions["mistakes"] = with_cells(solution, *cells, replace=quick, student=2)
    left = {question: least for _, left, _ in mistakes for question, least in left.items()}
    expected["mistakes"] = points | left, [said for _, _, said in mistakes]
    rows = graded(tmp_path / name, submissions, built)
    wrong = differences(rows, expected, name)
    assert not wrong, wrong
    assert (
        rows["solution"]["what happened"] == "All tests passed. The same number was used by: starter.ipynb."
    )
    assert rows["another number"]["what happened"] == "All tests passed."
    assert rows["another number"]["student"] == "1" and rows["solution"]["student"] == "0"


def executed(notebook, quick, number):
    """What the cells of a notebook leave, executed here in size "trial" for a student's number."""
    space = {}
    for cell in with_cells(notebook, replace=quick, student=number)["cells"]:
        source = "".join(cell["source"]).replace('size = "full"', 'size = "trial"')
        if cell["cell_type"] == "code" and "otter" not in source and "grader.check" not in source:
            exec(source, space)
    return space


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_mistakes(name, built, tmp_path, monkeypatch):
    """With several students' data, each mistake is named and right by no chance, and other ways are right."""
    monkeypatch.syspath_prepend(COURSE.parent)
    from course import message, plain, plan_of
    from otter.test_files import ExceptionTestFile

    plan, solution = plan_of(name, built), solution_of(built, name)
    with zipfile.ZipFile(plan.package) as package:
        package.extractall(tmp_path)
    tests = {q: ExceptionTestFile.from_file(str(tmp_path / "tests" / f"{q}.py")) for q in plan.answers}

    def judged(cell, space, questions=plan.answers):
        """{question: (points, what is said)} after another cell, which leaves no trace."""
        answered = {n: space[n] for names in plan.answers.values() for n in names}
        kept = space | copy.deepcopy(answered)  # a cell may change an answer where it stands
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a mistake may divide by 0
            exec(cell, space)  # in this very dictionary, where the notebook's functions look names up
        found = {}
        for question in questions:
            answers = {n: json.loads(json.dumps(plain(space[n]))) for n in plan.answers[question]}
            tests[question].run(space | answers)
            found[question] = tests[question].score, message(tests[question])
        space.clear()
        space.update(kept)
        return found

    wrong, before = [], {}
    for number in NUMBERS:
        space = executed(solution, OF[name].QUICK, number)
        for title, cell in {"solution": "", **getattr(OF[name], "OTHER_WAYS", {})}.items():
            for question, (got, said) in judged(cell, space).items():
                if got != OF[name].POINTS[question]:
                    wrong.append(f"number {number}, {title}: {question} {got}; {said}")
        for title, (cell, left, said) in OF[name].MISTAKES.items():
            for question, (got, happened) in judged(cell, space, left).items():
                if got != left[question] or said not in happened:
                    wrong.append(f"number {number}, {title}: {question} {got}; {happened}")
        copied = sum(got for got, _ in judged("", space | before).values())
        if before and copied >= sum(OF[name].POINTS.values()) / 2:
            wrong.append(f"number {number}: the answers of the number before get {copied}")
        before = {n: space[n] for names in plan.answers.values() for n in names}
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_submissions_that_misbehave(built, tmp_path):
    """With the first assignment: a submission can't mark itself, and can't stop the grading of the others."""
    points, starter, solution = OF["hw1"].POINTS, starter_of(built, "hw1"), solution_of(built, "hw1")
    quick = with_cells(solution, replace=OF["hw1"].QUICK)
    eo = "EO = np.abs(table"
    submissions = {
        "answers of another number": with_cells(quick, "student = 1"),
        "raises": with_cells(quick, replace=[(eo, "1 / 0\nEO = 50")]),
        "lacks a cell": with_cells(quick, replace=[(eo, None)]),
        "no number": with_cells(quick, "student = 'me'"),
        "marks itself": with_cells(starter, *SELF_MARKING),
    }
    submissions |= {name: with_cells(quick, cell) for name, (cell, _) in HARMLESS.items()}
    expected = {
        "raises": (
            points | {"q3": 0},
            ["raised ZeroDivisionError: division by zero.", "q3: EO has no answer yet."],
        ),
        "lacks a cell": (points | {"q3": 0}, ["It lacks the cell of q3."]),
        "no number": (points, ["tudent isn't a whole number"]),
        "marks itself": (dict.fromkeys(points, 0), ["outside of its folder", "q1: "]),
    }
    expected |= {name: (points, said) for name, (_, said) in HARMLESS.items()}
    if sys.platform.startswith("linux"):
        submissions["unseen"] = with_cells(quick, UNSEEN)
        expected["unseen"] = points, ["raised RuntimeError"]
    rows = graded(tmp_path / "submissions", submissions, built, "--limit", LIMIT)
    wrong = differences(rows, expected, "hw1")
    assert not wrong, wrong
    # The data of another number are others, and so are the answers.
    assert float(rows["answers of another number"]["total"]) < 8


@pytest.mark.slow
def test_several_assignments(built, tmp_path):
    """A submission says which assignment it is. One that doesn't, or is no notebook, gets a sentence."""
    first, last = NAMES[0], NAMES[-1]
    nameless = with_cells(starter_of(built, first), replace=[("# Initialize Otter", None)])
    of_another = json.loads(json.dumps(nameless).replace("import numpy", f"otter.Notebook('{last}.ipynb')"))
    folder = tmp_path / "submissions"
    folder.mkdir()
    (folder / "not a notebook.ipynb").write_text("I couldn't upload it, sorry.")
    os.symlink(built / first / f"{first}_solution.ipynb", folder / "a link.ipynb")
    submissions = {f"starter {name}": starter_of(built, name) for name in NAMES}
    submissions["nameless"] = nameless
    submissions["unknown"] = with_cells(
        starter_of(built, first), replace=[("# Initialize Otter", 'grader = otter.Notebook("hw99.ipynb")')]
    )
    rows = graded(folder, submissions, built)
    for name in NAMES:
        wrong = differences(rows, {f"starter {name}": (dict.fromkeys(OF[name].POINTS, 0), [])}, name)
        assert not wrong, wrong
        assert "same number" not in rows[f"starter {name}"]["what happened"], "of another assignment"
    questions = {question for name in NAMES for question in OF[name].POINTS}
    for name in NAMES:
        empty = {question for question in questions if rows[f"starter {name}"][question] == ""}
        assert empty == questions - set(OF[name].POINTS), "a question that the assignment lacks has points"
    for name, said in (
        ("not a notebook", "Not graded: it isn't a notebook"),
        ("a link", "Not graded: it isn't a file"),
        ("nameless", "Not graded: it doesn't say which assignment it is."),
        ("unknown", f"it says that it belongs to hw99, and the assignments here are {', '.join(NAMES)}."),
    ):
        row = rows[name]
        assert said in row["what happened"] and row["assignment"] == "" and float(row["total"]) == 0, row

    forced = {"nameless": nameless, "of another": of_another}
    rows = graded(tmp_path / "forced", forced, built, "--assignment", first)
    assert {row["assignment"] for row in rows.values()} == {first}
    assert (
        f"It says that it belongs to {last}; it was graded as {first}." in rows["of another"]["what happened"]
    )


OTTER = """
from otter.api import grade_submission
results = grade_submission("NAME.ipynb", "NAME_gradescope.zip", quiet=True)
print("points", results.total, "of", results.possible)
"""


@pytest.mark.slow
def test_gradescope_package(built, tmp_path):
    """What Gradescope runs, without its container: Otter's own grader gives the solution all points, too.

    One assignment is enough: `test_grading` and `test_mistakes` take the tests of all from their packages.
    """
    name = NAMES[0]
    shutil.copy(built / name / f"{name}_gradescope.zip", tmp_path)
    solution = (built / name / f"{name}_solution.ipynb").read_text()
    (tmp_path / f"{name}.ipynb").write_text(solution.replace('size = \\"full\\"', 'size = \\"trial\\"'))
    words = [sys.executable, "-c", OTTER.replace("NAME", name)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    points = sum(OF[name].POINTS.values())
    assert f"points {points} of {points}" in done.stdout, done.stdout + done.stderr


def test_no_submissions(tmp_path):
    """A folder that doesn't exist, or assignments that weren't built, are said in a line."""
    for folder, built, said in (
        (tmp_path / "no", tmp_path, "no folder"),
        (tmp_path, tmp_path, "make assignments"),
    ):
        words = [sys.executable, COURSE, "grade", folder, "--built", built]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
