"""CONTRIBUTING.md and the README do what they say: their examples are run, and their commands understood."""

import functools
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import gru_lite as gru
from gru_lite.labels import label

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]


def blocks(text, language):
    """The blocks of code of one language; "" is one that names none."""
    fenced = re.findall(r"^```([^\n]*)\n(.*?)^```$", text, flags=re.M | re.S)
    return [body for name, body in fenced if name == language]


def example(name):
    """The file that a block of Python or Markdown names in its first line, without that line."""
    examples = blocks(GUIDE, "python") + blocks(GUIDE, "markdown")
    (found,) = [body for body in examples if body.startswith((f"# {name}\n", f"<!-- {name} -->\n"))]
    return found.split("\n", 1)[1]


def patch(folder, changes):
    """Apply the blocks of changes that CONTRIBUTING.md shows; each place must be there exactly once."""
    for part in re.split(r"^--- ", changes, flags=re.M)[1:]:
        name, *hunks = re.split(r"^@@\n", part, flags=re.M)
        file = folder / name.strip()
        for hunk in hunks:
            lines = hunk.splitlines()
            before, after = ("".join(f"{line[1:]}\n" for line in lines if line[:1] != sign) for sign in "+-")
            text = file.read_text(encoding="utf-8")
            assert text.count(before) == 1, f"{name.strip()} has no such place:\n{before}"
            file.write_text(text.replace(before, after), encoding="utf-8")


# One process imports the changed package once, and does everything that this file looks at.
DRIVER = """
import contextlib, io, json, sys, traceback
from gru_lite import cli
said = {}
for name, call in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(call) if isinstance(call, list) else exec(call, {})
        except BaseException:
            code = traceback.format_exc()
    said[name] = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
json.dump(said, sys.stdout)
"""
METHODS = "import gru_lite as gru; print(*gru.METHODS, gru.METHODS['neggrad_plus'][1]())"
# The method against its docstring, on features without augmentation: one step by hand.
BY_HAND = """
import numpy as np, torch, torch.nn.functional as F
import gru_lite as gru
from gru_lite.methods.neggrad_plus import NegGradPlusConfig
rng = np.random.default_rng(0)
target, sensitive = (axis.ravel().repeat(4) for axis in np.indices((2, 2)))
data = gru.GroupedDataset(target, sensitive, "ab", "cd", features=rng.normal(size=(16, 3)).astype(np.float32))
split = gru.forget_split(data, [(1, 0)], 0.5)
model = gru.build_model("mlp", 2, n_features=3)
common = dict(epochs=1, batch_size=14, momentum=0.0, weight_decay=0.0, schedule="const", lr=0.1)
config = NegGradPlusConfig(alpha=0.5, forget_batch_size=2, **common)
ours = gru.unlearn("neggrad_plus", model, data, split, config, reweight=False).cpu()
x, y = torch.from_numpy(data.features), torch.from_numpy(data.target)
loss = F.cross_entropy(model(x[split.retain]), y[split.retain])
loss = loss - 0.5 * F.cross_entropy(model(x[split.forget]), y[split.forget])
gradients = torch.autograd.grad(loss, list(model.parameters()))
expected = [p - 0.1 * g for p, g in zip(model.parameters(), gradients)]
print(max((a - b).abs().max().item() for a, b in zip(expected, ours.parameters())))
"""
# Every command of the pages is read by the command line's own parser.
UNDERSTAND = """
from gru_lite import cli
classes = {"prepare": cli.PrepareOptions, "run": cli.RunOptions, "tune": cli.TuneOptions}
classes["plan"] = cli.PlanOptions
for command, *words in LINES:
    classes[command](**cli._values(cli._parser(command, classes[command]), words))
"""


def commands():
    """[(page, arguments)] of every gru-lite command of the README, this guide and the book's pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for body in blocks(text, "") + blocks(text, "bash"):
            lines = re.sub(r"\\\n\s*", " ", body).splitlines()
            words = [re.search(r"(?:(?<!gru-lite/)\bgru-lite|-m gru_lite) +(.*)", line) for line in lines]
            found += [(page.name, shlex.split(match[1])) for match in words if match]
    return found


def edit(old, new):
    def change(folder):
        text = (folder / "labels.csv").read_text()
        (folder / "labels.csv").write_text(text.replace(old, new, 1))

    return change


FIRST = "train_disc_light_0.png"
MISTAKES = {
    "nothing in the folder": shutil.rmtree,
    "a label that doesn't exist": edit(f"{FIRST},disc", f"{FIRST},disk"),
    "a picture listed twice": edit(f"{FIRST},disc,light,train\n", f"{FIRST},disc,light,train\n" * 2),
    "a picture that is missing": lambda folder: (folder / FIRST).unlink(),
}


@pytest.fixture(scope="module")
def said(manifest, tmp_path_factory):
    """What a copy of the package says, to which the method, the data set and the score are added."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "gru_lite", folder / "gru_lite", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "_toc.yml", folder)
    for name in (
        "gru_lite/methods/neggrad_plus.py",
        "gru_lite/data/shapes.py",
    ):  # nothing else for the method
        (folder / name).write_text(example(name), encoding="utf-8")
    for changes in blocks(GUIDE, "diff"):
        patch(folder, changes)
    exec(example("draw_shapes.py").replace("DATA/", f"{folder}/DATA/"), {})
    own = f"--manifest {manifest} --groups 1,0 --epochs 1 --jobs 1"
    compared = f"run {own} --seeds 2 --methods neggrad_plus finetune --compare-with neggrad_plus --out method"
    tuned = f"tune {own} --seeds 1 --trials 1 --references 1 --methods neggrad_plus --out tuning"
    trial = "--weights none --epochs 1 --image-size 32 --seeds 1 --jobs 1"
    calls = {
        "help": ["run", "--help"],
        "understand": UNDERSTAND.replace("LINES", repr([words for _, words in commands()])),
        "prepare": shlex.split("prepare --dataset shapes --root DATA --image-size 32"),
    }
    for number, (mistake, change) in enumerate(MISTAKES.items()):
        shutil.copytree(folder / "DATA" / "shapes", folder / f"{number}" / "shapes")
        change(folder / f"{number}" / "shapes")
        calls[mistake] = shlex.split(f"prepare --dataset shapes --root {number}")
    calls |= {
        "methods": METHODS,
        "by hand": BY_HAND,
        "compare": shlex.split(compared),
        "tune": shlex.split(tuned),
        "run": shlex.split(f"run --dataset shapes --root DATA {trial} --out shapes"),
        "paper": shlex.split(f"run --dataset shapes --root DATA {trial} --out paper --preset paper"),
        "score": example("tests/test_group_range.py") + "\n\ntest_group_range_by_hand()\nprint('passed')\n",
    }
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=json.dumps(calls),
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(
        folder=folder, calls={n: SimpleNamespace(**c) for n, c in json.loads(done.stdout).items()}
    )


def out_of(said, name):
    """What one call printed, after it went well."""
    call = said.calls[name]
    assert not call.code, f"{call.code}\n{call.err}"
    return call.out


def test_examples_are_formatted_and_have_no_findings(tmp_path):
    config = ["--quiet", "--config", ROOT / "pyproject.toml", tmp_path]
    for body in blocks(GUIDE, "python"):
        name = body.split("\n", 1)[0].removeprefix("# ")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(example(name), encoding="utf-8")
    long = ["check", "--select", "E501", "--exclude", "notebooks"]  # the text of a lesson is wider
    for rules in (["format", "--check"], ["check", "--ignore", "E501,E402"], long):
        done = subprocess.run([sys.executable, "-m", "ruff", *rules, *config], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_commands_of_the_pages_are_understood(said):
    """With the example of a method and of a data set in place, since their commands are among them."""
    assert {"README.md", "CONTRIBUTING.md", "your_own_images.md"} <= {page for page, _ in commands()}
    out_of(said, "understand")


def test_files_that_the_pages_name_exist():
    for page in PAGES[:2]:
        text = page.read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        named = {link for link in re.findall(r"\]\(([^)#]+)\)", prose) if ":" not in link}
        made = set(re.findall(r"^# (\S+\.py)$", GUIDE, flags=re.M))  # the examples themselves
        named |= set(re.findall(r"`((?:gru_lite|tests|book|results|notebooks)/[\w./]+)`", text)) - made
        missing = [name for name in named if name.isascii() and not (ROOT / name).exists()]
        assert not [name for name in missing if not re.search("[A-Z]{2}", name)], f"{page.name}: {missing}"


def test_the_readme_in_python(bench, capsys, monkeypatch):
    """The block as it stands, with a small benchmark and one epoch."""
    (code,) = blocks(PAGES[0].read_text(encoding="utf-8"), "python")
    short = functools.partial(gru.fit, config=gru.TrainConfig(epochs=1, warmup_epochs=0))
    unlearn = functools.partial(gru.unlearn, config=gru.METHODS["finetune"][1](epochs=1))
    small = {"load": lambda name, seed: bench, "fit": short, "unlearn": unlearn}
    names = {name: getattr(gru, name) for name in re.findall(r"\bgru\.(\w+)", code)} | small
    exec(code.replace("import gru_lite as gru\n", ""), {"gru": SimpleNamespace(**names)})
    assert len(capsys.readouterr().out.splitlines()) >= 1


@pytest.mark.slow
def test_a_method_is_one_file(said):
    assert "neggrad_plus" in out_of(said, "help")
    listed = out_of(said, "methods")
    assert "neggrad_plus" in listed.split() and "NegGradPlusConfig(" in listed and "alpha=0.003" in listed


@pytest.mark.slow
def test_a_method_is_run_and_compared(said):
    out = out_of(said, "compare")
    rows, name = {line.split("  ")[0] for line in out.splitlines()}, label("neggrad_plus")
    assert {name, f"{name} + REWEIGHT", "fine-tune + REWEIGHT"} <= rows
    assert f"\n{name} + REWEIGHT minus each rival, in Avg. Gap" in out
    table = pd.read_csv(said.folder / "method" / "table.csv")
    mine = table[table["method"] == "neggrad_plus"]
    assert len(mine) == 4 and (mine["status"] == "ok").all() and mine["avg_gap"].notna().all()


@pytest.mark.slow
def test_a_method_is_tuned(said):
    out = out_of(said, "tune")
    assert label("neggrad_plus") in out and "trial 0: lr 0.05, shift 2, alpha 0.003" in out
    assert (said.folder / "tuning" / "chosen.json").is_file()


@pytest.mark.slow
def test_the_method_is_what_its_docstring_says(said):
    assert float(out_of(said, "by hand")) < 1e-6


@pytest.mark.slow
def test_a_data_set_is_prepared(said):
    out = out_of(said, "prepare")
    assert "shapes: 68 samples" in out and "square on light" in out
    numbers = [re.findall(r"\d+", line.split(") ")[-1]) for line in out.splitlines()[2:]]
    assert all(row[::2] == row[1::2] and len(row) == 6 for row in numbers), out  # as published


@pytest.mark.slow
def test_a_data_set_and_a_score_are_run(said):
    out = out_of(said, "run")
    assert "Forgetting 50% of group (1, 0) square on light (3 train samples), 1 seed" in out
    assert "Not reported: the paper's first version has no numbers of shapes." in out
    table = pd.read_csv(said.folder / "shapes" / "table.csv")
    groups = table[[name for name in table if name.startswith("acc_")]]
    expected = groups.max(axis=1) - groups.min(axis=1)
    pd.testing.assert_series_equal(table["group_range"], expected, check_names=False)


@pytest.mark.slow
def test_a_data_set_of_ones_own_has_no_published_values(said):
    refused = said.calls["paper"]
    assert refused.code == 2 and "nothing is published for shapes" in refused.err


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_data_is_one_line(mistake, said):
    """The very line that the table promises."""
    (promised,) = re.findall(rf"^\| {mistake} \| `(.*)` \|$", GUIDE, flags=re.M)
    root = str(list(MISTAKES).index(mistake))
    refused = said.calls[mistake]
    bar = re.compile(r"^.*\r", flags=re.M)  # of decoding
    assert (
        refused.code == 2
        and bar.sub("", refused.err) == f"gru-lite: error: {promised.replace('DATA', root)}\n"
    )


@pytest.mark.slow
def test_the_score_by_hand(said):
    """The test that the page shows, on the function that the page shows."""
    assert out_of(said, "score") == "passed\n"


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    import test_lessons

    path = tmp_path / "90_effective_samples.py"
    path.write_text(example("notebooks/90_effective_samples.py"), encoding="utf-8")
    monkeypatch.setattr(test_lessons.lessons, "NOTEBOOKS", tmp_path)
    return path


@pytest.mark.book
def test_the_lesson_keeps_the_rules(lesson):
    """Every rule for a script: the tests of test_lessons.py, but for those of an executed page."""
    import test_lessons

    rules = {
        name: test
        for name, test in vars(test_lessons).items()
        if name.startswith("test_") and [*inspect.signature(test).parameters] == ["script"]
    }
    rules = {name: test for name, test in rules.items() if "EXECUTED" not in inspect.getsource(test)}
    assert {"test_parameters_cell", "test_claims_are_checked", "test_cells_are_short"} <= set(rules)
    for test in rules.values():
        test(lesson)


@pytest.mark.book
def test_the_lesson_has_a_twin_and_runs(lesson, monkeypatch, capsys):
    import test_lessons

    tools = test_lessons.lessons
    ((path, text),) = tools.outdated_twins()
    assert path == lesson.with_suffix(".ipynb") and text == tools.text_of(tools.notebook(lesson, twin=True))
    tools.write(path, text)
    assert tools.outdated_twins() == []
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    names = {}
    for cell in test_lessons.cells(lesson, "code"):
        if "google.colab" not in cell.source:
            exec(cell.source, names)
    said = capsys.readouterr().out
    assert "ratio 0.9: 3838 images, effective 2847" in said
    assert "3,838" in lesson.read_text() and "2,850" in lesson.read_text()


@pytest.mark.book
@pytest.mark.slow
def test_the_page_is_built(tmp_path):
    """In a small book of its own, with what it leads to. That the line in _toc.yml fits, `said` has found."""
    shutil.copytree(ROOT / "book", tmp_path / "book")
    for name in ("_config.yml", "CITATION.cff", "CONTRIBUTING.md", "gru_lite", "notebooks", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "book" / "tutorials.md").write_text(example("book/tutorials.md"), encoding="utf-8")
    pages = ["book/glossary", "book/references", "book/executed/08_a_fair_table"]
    contents = "".join(f"  - file: {name}\n" for name in pages)
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: book/tutorials\nchapters:\n{contents}")
    words = [Path(sys.executable).with_name("jupyter-book"), "build", tmp_path, "--all"]
    done = subprocess.run(words, env=os.environ | {"NO_COLOR": "1"}, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and not re.findall(r"tutorials.*(?:WARNING|ERROR).*", said), said[-2000:]
    page = (tmp_path / "_build" / "html" / "book" / "tutorials.html").read_text(encoding="utf-8")
    table = pd.concat(gru.read_record(f"waterdigits_{name}")[0] for name in ("requests", "fresh_seeds"))
    harm = gru.select(table, "original", 0.9)["GA"] - gru.select(table, "retrain", 0.9)["GA"]
    assert f"is {harm.mean():.1f} points" in page and f"{len(harm)} seeds)" in page
    for link in ("glossary.html#term-Avg.-Gap", "references.html#", "executed/08_a_fair_table.html"):
        assert f'href="{link}' in page, link


# What its solution ends with -> points and message.
ANSWERS = {
    "right": ("", 2, "All tests passed."),
    "F": ("left = len(split.forget)", 1, "left counts the images of F"),
    "weights": ("effective = len(split.retain)", 1, "effective ignores the weights"),
    "form": ("left = 'many'", 1, "left isn't a number"),
}


@pytest.mark.slow
def test_the_assignment_is_built_and_graded(tmp_path):
    pytest.importorskip("otter", reason="needs the extra `course`")
    (tmp_path / "hw9.py").write_text(example("assignments/hw9.py"), encoding="utf-8")
    folder, built, course = tmp_path / "submissions", tmp_path / "built", ROOT / "assignments" / "course.py"
    build = f"import course, pathlib; course.SOURCES = pathlib.Path({str(tmp_path)!r})\n"
    build += f"course.build(pathlib.Path({str(built)!r}))"
    grade = [course, "grade", folder, "--assignment", "hw9", "--size", "trial"]
    grade += ["--built", built, "--out", tmp_path / "grades.csv"]

    def run(*words):
        done = subprocess.run([sys.executable, *words], cwd=course.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    run("-c", build)
    folder.mkdir()
    solution = json.loads((built / "hw9" / "hw9_solution.ipynb").read_text())
    for name, (answer, _, _) in ANSWERS.items():
        cells = [dict(cell) for cell in solution["cells"]]
        cell = next(cell for cell in cells if "left = len" in "".join(cell["source"]))
        cell["source"] = "".join(cell["source"]) + f"\n{answer}"
        (folder / f"{name}.ipynb").write_text(json.dumps(solution | {"cells": cells}))
    shutil.copy(built / "hw9" / "student" / "hw9.ipynb", folder / "starter.ipynb")
    run(*grade)
    rows = pd.read_csv(tmp_path / "grades.csv").set_index("file")
    for name, (_, points, said) in (ANSWERS | {"starter": ("", 0, "left has no answer yet")}).items():
        row = rows.loc[f"{name}.ipynb"]
        assert row["total"] == points and said in row["what happened"], f"{name}: {dict(row)}"


def test_the_numbers_of_the_methods_in_the_readme():
    records = [gru.read_record(f"waterdigits_large_methods{end}")[0] for end in ("", "_2")]
    times, _ = gru.read_record("waterdigits_large_times")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+? ± [^|]+?) \| ([^|]+?) \| ([\d.]+) \|$", readme, flags=re.M)
    assert len(rows) > 3
    of_row = [
        {label(*key): part["avg_gap_refs"] for key, part in record.groupby(["method", "sampling"])}
        for record in records
    ]
    share = {label(*key): part["share"].item() for key, part in times.groupby(["method", "sampling"])}
    for name, *numbers in rows:
        means = ["{:.1f} ± {:.1f}".format(*gru.mean_interval(gaps[name])) for gaps in of_row]
        assert numbers == [*means, f"{share[name]:.2f}"], name
