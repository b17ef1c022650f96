"""Build the assignments of the course, and grade what students hand in.

    .venv/bin/python assignments/course.py build
    .venv/bin/python assignments/course.py grade FOLDER --out grades.csv
    python gru-lite/assignments/course.py checks hw1     on Colab, by the first cell of an assignment

Each source hwN.py is a notebook in Otter Assign's format. Otter makes the student's notebook, the solution
and the package for Gradescope from it, and the points of a submission are those of Otter's tests.

A submission is run in one process and judged in another. The first one executes the student's cells, with
limits on time, memory, output and files. All that leaves it are answers as plain data, in JSON. The second
one never executes a line of the student's: it makes the data of the student's number again, and runs Otter's
tests on the answers. Otter's own `grade_submission` runs the tests where the student's code runs, and trusts
the file of results that comes from there. In such a place, students can write their own marks.
"""

import argparse
import ast
import builtins
import contextlib
import csv
import ctypes
import io
import json
import os
import re
import shutil
import signal
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

try:
    import resource  # Windows has none
except ImportError:
    resource = None

SOURCES = Path(__file__).resolve().parent
ROOT = SOURCES.parent
BUILT = ROOT / "build" / "assignments"

NOTEBOOK_BYTES = 20_000_000  # a larger file isn't read
ANSWER_BYTES = 1_000_000  # of one answer
PRINTED = 100_000  # characters that a submission may print
MEMORY = 8 * 2**30  # bytes
JUDGING = 600  # seconds that the tests may take
SPARE = 600  # seconds that a submission may wait, beside four times what a cell may compute
MESSAGE = 200  # characters of what an error says

# Imported once, before the processes of all submissions are forked from there.
PRELOADED = [
    "IPython.core.interactiveshell",
    "gru_lite.train",
    "gru_lite.methods",
    "gru_lite.scores",
    "torch._dynamo",  # which the first optimizer would import, in five seconds
    "otter.execute",
]


# Build


def build(out: Path = BUILT) -> list[str]:
    """Write student notebook, solution and Gradescope package of every assignment; return their names."""
    names = []
    for source in sorted(SOURCES.glob("hw*.py")):
        name = source.stem
        with tempfile.TemporaryDirectory() as folder:
            made = assign(source, Path(folder))
            shutil.rmtree(out / name, ignore_errors=True)
            (out / name / "student").mkdir(parents=True)
            # A student's notebook keeps its name: it reads its own tests from the file of that name.
            student = out / name / "student" / f"{name}.ipynb"
            shutil.copy(made / "student" / student.name, student)
            add_colab_setup(student)
            shutil.copy(made / "autograder" / student.name, out / name / f"{name}_solution.ipynb")
            (package,) = (made / "autograder").glob("*.zip")
            shutil.copy(package, out / name / f"{name}_gradescope.zip")
        names.append(name)
    return names


def assign(source: Path, folder: Path) -> Path:
    """Let Otter make an assignment in a folder; return the folder with its `student` and `autograder`."""
    import jupytext
    import nbformat
    from otter.assign import main as otter_assign

    address = re.search(r"^ +url: (\S+)$", (ROOT / "_config.yml").read_text(), re.M)[1]
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem}-{number:03}"
        if cell.cell_type == "raw":
            cell.source = cell.source.replace("REPOSITORY", address)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    master, made = folder / f"{source.stem}.ipynb", folder / "made"
    nbformat.write(notebook, master)
    # Its tests would train models; tests/test_assignments.py runs them on the solution.
    otter_assign(str(master), str(made), no_pdfs=True, no_run_tests=True)
    return made


def add_colab_setup(student: Path) -> None:
    """Put the first cell of all notebooks for Colab before that of Otter, with what Otter needs there."""
    import nbformat

    sys.path.insert(0, str(ROOT / "book" / "_tools"))
    import lessons

    commands = (
        "!pip install --quiet otter-grader",
        f"!python gru-lite/assignments/course.py checks {student.stem}",
    )
    notebook = nbformat.read(student, as_version=4)
    setup = nbformat.v4.new_code_cell(
        lessons.colab_setup(student.stem, *commands),
        id=f"{student.stem}-colab-install",
        metadata={"deletable": False, "editable": False, "tags": ["colab"]},
    )
    notebook.cells.insert(0, setup)
    nbformat.write(notebook, student)


def write_checks(name: str, folder: Path) -> int:
    """Write what Otter reads on Colab, the public checks and a notebook; return how many checks there are.

    A notebook that is open on Colab lies in no folder. So Otter, which takes the checks from the notebook
    elsewhere, takes them from files there. It still wants a notebook of the name, and looks only at its
    configuration.
    """
    if not (SOURCES / f"{name}.py").is_file():
        sys.exit(f"there is no assignment {name}")
    with tempfile.TemporaryDirectory() as place:
        student = assign(SOURCES / f"{name}.py", Path(place)) / "student" / f"{name}.ipynb"
        checks = json.loads(student.read_text())["metadata"]["otter"]["tests"]
        (folder / "tests").mkdir(exist_ok=True)
        for question, text in checks.items():
            (folder / "tests" / f"{question}.py").write_text(text)
        if not (folder / student.name).exists():
            shutil.copy(student, folder)
    return len(checks)


# What an assignment asks for


@dataclass(frozen=True)
class Plan:
    """What the student's notebook of an assignment holds.

    Attributes:
        package: the zip with all tests.
        given: sources of the cells that make a student's data.
        answers: question -> names of its answers.
    """

    package: Path
    given: tuple[str, ...]
    answers: dict[str, list[str]]


def plans_of(built: Path = BUILT, only: str | None = None) -> dict[str, Plan]:
    """Read the plans of all assignments that were built, by name, or of one alone."""
    names = sorted(student.stem for student in built.glob("*/student/*.ipynb"))
    if not names:
        sys.exit(f"there is no assignment in {built}: run `make assignments` first")
    if only and only not in names:
        sys.exit(f"there is no assignment {only} in {built}, only {', '.join(names)}")
    return {name: plan_of(name, built) for name in ([only] if only else names)}


def plan_of(name: str, built: Path) -> Plan:
    """Read the plan of an assignment that was built."""
    student = built / name / "student" / f"{name}.ipynb"
    given, answers, names = [], {}, []
    for cell in json.loads(student.read_text())["cells"]:
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        is_setup = {"parameters", "colab"} & {*tags} or source.startswith("# Initialize Otter")
        if cell["cell_type"] != "code" or is_setup:
            continue
        if question := question_of(source):
            answers[question], names = names, []
        elif "given" in tags:
            given.append(source)
        else:
            names += [n for n in assigned(source) if n not in names]
    return Plan(built / name / f"{name}_gradescope.zip", tuple(given), answers)


def assignment_of(cells: list[tuple[str, str]]) -> str | None:
    """The assignment that a submission says it is, in the cell that Otter put at its beginning."""
    says = (re.search(r"otter\.Notebook\(\s*[\"'](\w+)\.ipynb", source) for _, source in cells)
    return next((found[1] for found in says if found), None)


def question_of(source: str) -> str | None:
    """The question whose check a cell is."""
    found = re.match(r"\s*grader\.check\(\"(\w+)\"\)", source)
    return found and found[1]


def assigned(source: str, everything: bool = False) -> list[str]:
    """Names that a cell assigns at its top level; with `everything` also what it imports and defines."""
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            names += [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        elif everything and isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name.split(".")[0] for alias in node.names]
        elif everything and isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
    return [name for name in names if not name.startswith("_")]


# The first process: the student's cells


class Printed(io.TextIOBase):
    """What a submission prints goes nowhere; it is counted."""

    count = 0

    def write(self, text):
        self.count += len(text)
        return len(text)


class Checks:
    """Stands for `otter` while a submission is executed: its checks don't count, so they aren't run."""

    def __init__(self, *_, **__): ...

    def __getattr__(self, _):
        return lambda *_, **__: None


def execute(work: Path, cells: list[tuple[str, str]], plan: Plan, size: str, limit: int) -> None:
    """Execute the cells (label, source) of a submission; leave answers.json and report.json in `work`.

    Both are written again after each cell: whatever ends this process, the cells before it count.
    """
    os.setsid()
    os.chdir(work)
    os.environ |= {"HOME": str(work), "TMPDIR": str(work), "IPYTHONDIR": str(work), "MPLCONFIGDIR": str(work)}
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg", "TQDM_DISABLE": "1"}
    tempfile.tempdir, sys.dont_write_bytecode = str(work), True
    sys.path[:] = [
        folder for folder in sys.path if Path(folder or ".").resolve() not in (SOURCES, ROOT / "tests")
    ]
    with open(os.devnull, "r+") as nowhere:
        for stream in range(3):
            os.dup2(nowhere.fileno(), stream)
    limit_memory()

    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    space, printed, notes = shell.user_ns, Printed(), []
    sys.stdout = sys.stderr = printed
    otter = type(sys)("otter")
    otter.Notebook = Checks
    sys.modules["otter"] = otter
    wall(work, notes)

    names = [name for names in plan.answers.values() for name in names]
    guarded = {"grader", *(name for source in plan.given for name in assigned(source, everything=True))}
    before = {name: space.get(name) for name in dir(builtins) if name[0] != "_"}
    known, label, ticks = {}, "the first cell", 0

    def note(text):
        if text not in notes:
            notes.append(text)

    def leave(state):
        Path("report.json").write_text(json.dumps({"notes": notes, "cell": label, "state": state}))

    def stop(*_):
        nonlocal ticks
        ticks += 1
        if ticks > 5:  # the cell catches whatever it is stopped by
            note(f"{label} couldn't be stopped after {limit} s of computing")
            leave("stopped")
            os._exit(0)
        raise TimeoutError(f"it was stopped after {limit} s of computing")

    signal.signal(signal.SIGPROF, stop)
    for label, source in cells:
        leave("running")
        ticks = 0
        signal.setitimer(signal.ITIMER_PROF, limit, limit / 10)  # of computing: a busy machine is no reason
        try:
            result = shell.run_cell(source)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:  # stopped again, while the first stop was being reported
            error = raised
        signal.setitimer(signal.ITIMER_PROF, 0)
        if error and str(error) not in notes:
            note(f"{label} raised {type(error).__name__}: {error}"[:MESSAGE])
        if source in plan.given or source.startswith("# Initialize Otter"):
            known |= {name: space[name] for name in guarded if name in space}
        for name in [name for name in known if space.get(name) is not known[name]]:
            note(f"{label} redefines {name}, which the grader uses; the grader used its own")
            del known[name]
        for name in [name for name in before if space.get(name) is not before[name]]:
            note(f"{label} redefines Python's {name}; the grader used Python's")
            del before[name]
        if "size" in space:
            space["size"] = size
        if printed.count > PRINTED:
            note(f"it printed more than {PRINTED // 1000} kB, and the rest was dropped")
        write_answers(space, ["student", *names], note)
    leave("done")
    os._exit(0)  # nothing that the student registered for the end is run


def write_answers(space, names, note):
    texts = []
    for name in names:
        value = space.get(name)
        if value is None or value is ...:
            continue
        try:
            text = json.dumps(plain(value))
        except (TypeError, ValueError, RecursionError):
            note(f"{name} is a {type(value).__name__} that the grader can't read")
            continue
        if len(text) > ANSWER_BYTES:
            note(f"{name} is too large to be read")
        else:
            texts.append(f"{json.dumps(name)}: {text}")
    Path("answers.json").write_text("{" + ", ".join(texts) + "}")


def plain(value):
    """A value as numbers, texts, lists and dictionaries."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def limit_memory():
    """Let no process take more than MEMORY; systems without such a limit keep theirs."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY // 100, MEMORY // 100))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# What a submission may read: Python, the libraries, the package and its records. It may write its own folder.
SYSTEM = ["/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/System", "/Library"]
REFUSED = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.kill",
    "socket.connect",
    "socket.bind",
)


def wall(work: Path, notes: list) -> None:
    """Refuse this process, for good, all files but those that it needs, other programs and the network.

    The hook says what was tried. It can be circumvented, so on Linux the kernel refuses, too (Landlock).
    """
    import gru_lite

    package = Path(gru_lite.__file__).parent
    libraries = [
        folder for folder in sys.path if folder.endswith((".zip", "-packages")) or "python3" in folder
    ]
    readable = [sys.prefix, sys.base_prefix, package, package.parent / "results", *libraries, *SYSTEM]
    readable = [os.path.realpath(folder) for folder in readable if os.path.isdir(folder)]
    writable = [os.path.realpath(folder) for folder in (work, "/dev")]

    def inside(path, folders):
        return any(path == folder or path.startswith(folder + os.sep) for folder in folders)

    def hook(event, args):
        if event == "open" and not isinstance(args[0], int) and args[0] is not None:
            path = os.path.realpath(os.fsdecode(args[0]))
            writes = bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if inside(path, writable) or not writes and inside(path, [*readable, str(SOURCES / "course.py")]):
                return  # this file, too: a traceback may show its lines
            verb = "write" if writes else "read"
            tried = f"it tried to {verb} outside of its folder ({os.path.basename(path)})"
        elif event.startswith(REFUSED):
            tried = f"it tried to use {event}, which isn't allowed"
        else:
            return
        if tried not in notes:
            notes.append(tried)
        raise PermissionError(tried)

    landlock(readable, writable)
    sys.addaudithook(hook)


def landlock(readable: list[str], writable: list[str]) -> None:
    """Let the kernel refuse all other files to this process, where it can (Linux 5.13 and later)."""
    if not sys.platform.startswith("linux"):
        return
    libc, word = ctypes.CDLL(None, use_errno=True), ctypes.c_long

    def call(number, *arguments):
        return libc.syscall(word(number), *(word(a) if isinstance(a, int) else a for a in arguments))

    version = call(444, None, 0, 1)
    if version < 1:
        return
    files = (1 << 13 + (version >= 2) + (version >= 3)) - 1  # all rights to files that this kernel knows
    rules = struct.pack("QQQ", files, 3, 2)[
        : 8 if version < 4 else 16 if version < 6 else 24
    ]  # network; signals
    ruleset = call(444, rules, len(rules), 0)
    for folders, rights in ((readable, 0b1101), (writable, files)):  # execute, read a file, read a folder
        for folder in folders:
            place = os.open(folder, os.O_PATH)
            call(445, ruleset, 1, struct.pack("=Qi", rights, place), 0)
            os.close(place)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    call(446, ruleset, 0)
    os.close(ruleset)


# The second process: Otter's tests


def judge(work: Path, result: Path, plan: Plan, size: str) -> None:
    """Run the tests on the answers in `work`, which are plain data; write points and messages to `result`."""
    sys.stdout = sys.stderr = Printed()
    limit_memory()
    from otter.execute import Checker
    from otter.test_files import GradingResults

    notes, answers = [], {}
    with contextlib.suppress(ValueError, RecursionError):
        answers = json.loads(read_regular(work / "answers.json", 20 * ANSWER_BYTES) or "{}")
    student = answers.pop("student", None)
    if type(student) is not int or not 0 <= student < 2**32:
        notes.append("student isn't a whole number, so it was graded as number 0")
        student = 0
    env = {"student": student, "size": size}
    for source in plan.given:
        exec(source, env)  # our own cells, not those of the submission
    for name in (name for names in plan.answers.values() for name in names):
        env[name] = answers.get(name, ...)

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(plan.package) as package:
            package.extractall(folder, [n for n in package.namelist() if n.startswith("tests/")])
        Checker.enable_tracking()
        for test in sorted(Path(folder, "tests").glob("*.py")):
            Checker.check_if_not_already_checked(str(test), global_env=env)
        results = GradingResults(Checker.get_results()).results

    points = {question: results[question].score for question in plan.answers}
    said = {question: message(results[question]) for question in plan.answers}
    row = {"student": student, "points": points, "said": said, "notes": notes}
    result.write_text(json.dumps(row))


def message(question) -> str:
    """What the tests of one question say of its mistakes."""
    found = []
    for test in question.test_case_results:
        if not test.passed:
            last = test.message.strip().splitlines()[-1]
            kind, _, text = last.partition(": ")
            found.append(
                text if kind == "AssertionError" else f"it can't be read as an answer ({last[:MESSAGE]})"
            )
    unanswered = [text for text in found if text.endswith("has no answer yet")]
    if unanswered:
        return "; ".join(unanswered)
    named = [text for text in found if not text.startswith("it can't be read")]
    return "; ".join(dict.fromkeys(named or found[:1]))  # what can't be read follows from what is named


def read_regular(path: Path, most: int) -> str | None:
    """The text of a file that a submission left, unless it is something else than a file, or too large."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > most:
        return None
    return path.read_text(errors="replace")


# A folder of submissions


def grade(
    folder: Path, plans: dict[str, Plan], forced: str | None = None, size: str = "full", limit: int = 600
) -> list[dict]:
    """Grade every file of a folder.

    Args:
        folder: of submissions, with those to several assignments among each other or in folders of their own.
        plans: assignment -> what it asks for.
        forced: the assignment that all of them are to be graded as; None: the one that each says it is.
        size: "full" or "trial".
        limit: seconds that a cell may compute.

    Returns:
        Rows with file, assignment, student, points by question, and what happened. Assignment and student are
        None where they aren't known.
    """
    # A process that is killed leaves something behind. It is cleared away at the end, and nobody need know.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    rows = []
    for file in sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()):
        name = file.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        row = {"file": str(name), "assignment": forced, "student": None, "points": {}}
        try:
            cells = cells_of(file)
            row["assignment"] = forced or belongs_to(cells, plans)
            row |= grade_one(context, cells, plans[row["assignment"]], size, limit)
            says = assignment_of(cells)
            if forced and says not in (None, forced):
                row["what happened"] += f" It says that it belongs to {says}; it was graded as {forced}."
        except ValueError as problem:
            row["what happened"] = f"Not graded: {problem}."
        rows.append(row)
        points, graded_as = sum(row["points"].values()), row["assignment"] or "no assignment"
        print(f"{name} ({graded_as}): {points:g} points. {row['what happened']}", flush=True)
    shared = Counter((row["assignment"], row["student"]) for row in rows)
    for row in rows:
        same = row["assignment"], row["student"]
        if row["student"] is not None and shared[same] > 1:
            others = [r["file"] for r in rows if (r["assignment"], r["student"]) == same and r is not row]
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            row["what happened"] += f" The same number was used by: {', '.join(others[:3])}{more}."
    return rows


def belongs_to(cells: list[tuple[str, str]], plans: dict[str, Plan]) -> str:
    """The assignment that a submission says it is, or a ValueError if that is none of those."""
    says, known = assignment_of(cells), ", ".join(plans)
    if says is None:
        raise ValueError(
            "it doesn't say which assignment it is. The first cell of the student's notebook, with "
            f"otter.Notebook, is missing. To grade it all the same, add HW={next(iter(plans))}"
        )
    if says not in plans:
        raise ValueError(f"it says that it belongs to {says}, and the assignments here are {known}")
    return says


def grade_one(context, cells: list[tuple[str, str]], plan: Plan, size: str, limit: int) -> dict:
    """Grade the cells of one submission, in processes of its own."""
    lacks = []
    code = "\n".join(source for _, source in cells)
    for question, names in plan.answers.items():
        if not any(re.search(rf"\b{name}\b\s*=", code) for name in names):
            lacks.append(f"it lacks the cell of {question}")

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as room:
        work, result = Path(room).resolve() / "work", Path(room) / "result.json"
        work.mkdir()
        most = 4 * limit + SPARE
        ended = run_limited(context, execute, (work, cells, plan, size, limit), most)
        notes, cell, state = report_of(work)
        if not ended:
            notes.append(f"{cell} was still running after {most} s; it was stopped, and the rest wasn't run")
        elif state not in ("done", "stopped"):
            notes.append(f"{cell} ended the process, and the rest wasn't run")
        if not run_limited(context, judge, (work, result, plan, size), JUDGING) or not result.is_file():
            raise ValueError("the tests themselves failed. Grade it by hand")
        row = json.loads(result.read_text())
    said = [f"{question}: {text}" for question, text in row.pop("said").items() if text]
    happened = sentences(lacks + notes + row.pop("notes")) + [f"{text}." for text in said]
    return row | {"what happened": " ".join(happened) or "All tests passed."}


def cells_of(file: Path) -> list[tuple[str, str]]:
    """Return (label, source) of the code cells of a notebook; a label names the question, if there is one."""
    if file.is_symlink() or not file.is_file():
        raise ValueError("it isn't a file")
    if file.stat().st_size > NOTEBOOK_BYTES:
        raise ValueError(f"it is larger than {NOTEBOOK_BYTES // 1_000_000} MB; clear its outputs")
    import nbformat

    try:
        notebook = nbformat.reads(file.read_text(), as_version=4)
        sources = [str(cell["source"]) for cell in notebook.cells if cell["cell_type"] == "code"]
    except Exception as error:  # whatever is wrong with the file
        raise ValueError(f"it isn't a notebook ({type(error).__name__})") from None
    labels, question = [], None
    for number, source in reversed(list(enumerate(sources, start=1))):
        question = question_of(source) or question
        labels.append(f"code cell {number}" + (f" (before the check of {question})" if question else ""))
    return list(zip(reversed(labels), sources))


def run_limited(context, function, arguments, seconds: int) -> bool:
    """Run a function in a new process; return whether it ended within the time. Nothing of it is left."""
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join(seconds)
    ended = process.exitcode is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # and what it may have started
    if not ended:
        process.kill()
        process.join()
    return ended


def report_of(work: Path) -> tuple[list[str], str, str]:
    """What a submission's process reported: notes, the last cell, and whether it was done."""
    try:
        report = json.loads(read_regular(work / "report.json", ANSWER_BYTES))
        notes = [str(text)[:MESSAGE] for text in report["notes"]][:20]
        return notes, str(report["cell"])[:MESSAGE], str(report["state"])
    except (TypeError, ValueError, KeyError, RecursionError):
        return [], "the first cell", "lost"


def sentences(texts: list[str]) -> list[str]:
    """Each text on one line, with a capital and a full stop."""
    lines = [" ".join(text.split()) for text in texts]
    return [f"{line[0].upper()}{line[1:]}{'' if line.endswith('.') else '.'}" for line in lines if line]


def write_table(rows: list[dict], plans: dict[str, Plan], file: Path) -> None:
    """Write the grades as CSV: a row for each submission. A question that its assignment lacks is empty."""
    graded = [name for name in plans if any(row["assignment"] == name for row in rows)]
    questions = list(dict.fromkeys(q for name in graded or plans for q in plans[name].answers))
    with open(file, "w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "assignment", "student", *questions, "total", "what happened"])
        for row in rows:
            points = dict.fromkeys(plans[row["assignment"]].answers, 0) if row["assignment"] else {}
            points |= row["points"]
            cells = [points.get(question) for question in questions]
            known = row["file"], row["assignment"], row["student"]
            writer.writerow([*known, *cells, sum(points.values()), row["what happened"]])


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="student notebooks, solutions and Gradescope packages")
    mark = commands.add_parser("grade", help="grade a folder of submissions into a table")
    checks = commands.add_parser("checks", help="write here what Otter reads on Colab")
    checks.add_argument("name")
    mark.add_argument("folder", type=Path)
    mark.add_argument("--out", type=Path, default=Path("grades.csv"), help="the table (grades.csv)")
    mark.add_argument("--assignment", help="grade all of them as this one, such as hw1, whatever they say")
    mark.add_argument("--limit", type=int, default=600, help="seconds that a cell may compute (600)")
    mark.add_argument(
        "--size", choices=("full", "trial"), default="full", help="trial: small data, to try it out"
    )
    for command in (make, mark):
        command.add_argument("--built", type=Path, default=BUILT, help="folder of what was built")
    options = parser.parse_args(words)
    if options.command == "build":
        for name in build(options.built):
            print(
                f"{options.built / name}: student/{name}.ipynb, {name}_solution.ipynb, {name}_gradescope.zip"
            )
        return
    if options.command == "checks":
        print(f"{options.name}: {write_checks(options.name, Path())} checks in the folder tests")
        return
    if not options.folder.is_dir():
        sys.exit(f"there is no folder {options.folder}")
    plans = plans_of(options.built, options.assignment)
    rows = grade(options.folder, plans, options.assignment, options.size, options.limit)
    write_table(rows, plans, options.out)
    counts = Counter(row["assignment"] or "no assignment" for row in rows)
    each = ", ".join(f"{count} of {name}" for name, count in sorted(counts.items()))
    print(f"{len(rows)} submissions ({each or 'none'}): {options.out}. Written questions are not in it.")


if __name__ == "__main__":
    main()
