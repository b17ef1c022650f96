"""Execute the notebooks for Colab in an environment laid out like Colab's: `make test-colab`.

colab.py [NAME ...]    every lesson and assignment, or those named (00, 00_start_here, hw1), in profile smoke

Like on Colab, each notebook has a machine of its own: an empty folder and a new environment in which PACKAGES
are there already, in their newest versions, on the newest Python at hand. Nothing of this repository is on
its path. The kernel is one of `google.colab`. The first cell is executed as it stands: git takes a clone of
HEAD where the cell names the address of the repository.

Not like on Colab: there is no GPU unless this machine has one, and Colab itself has older versions of some
packages.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import lessons
import nbformat

ROOT = lessons.ROOT
PLACE = ROOT / "_build" / "colab"
SETUP_LIMIT = 60  # seconds that the first cell may take
CELL_LIMIT = 600  # seconds that any other cell may take

# What a new notebook on Colab can import, as far as it matters here. None has a version: Colab chooses those.
PACKAGES = [
    "dask[distributed]",
    "dill",
    "filelock",
    "ipykernel",
    "ipywidgets",
    "jinja2",
    "joblib",
    "matplotlib",
    "notebook",
    "numpy",
    "pandas",
    "pillow",
    "pyyaml",
    "requests",
    "safetensors",
    "scikit-learn",
    "scipy",
    "seaborn",
    "sphinx",
    "statsmodels",
    "torch",
    "torchvision",
    "tqdm",
    "transformers",
    "wrapt",
]
# What no notebook may install beside, or in place of, what is there.
KEPT = {"torch", "torchvision", "numpy", "pandas", "scipy", "matplotlib", "seaborn", "sklearn"}

# Stands for Colab's own package: lessons look for the first module, Otter for the name of the shell's class.
STUB = {
    "__init__.py": "",
    "_shell.py": (
        "from ipykernel.zmqshell import ZMQInteractiveShell\n\n\n"
        "class Shell(ZMQInteractiveShell):\n    pass\n"
    ),
    "_kernel.py": (
        "from ipykernel.ipkernel import IPythonKernel\nfrom traitlets import Type\n\n"
        "from google.colab._shell import Shell\n\n\n"
        "class Kernel(IPythonKernel):\n    shell_class = Type(Shell)\n"
    ),
}


# What is added after the first cell and at the end: processor seconds so far, and whose package it is.
MEASURE = """import resource

import gru_lite

used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(one.ru_utime + one.ru_stime for one in used), gru_lite.__file__)
del resource, used"""


class Failure(Exception):
    """Why a notebook failed, in one line."""


def shell(*words, **options):
    """Run a command; what it said is the error if it fails."""
    run = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if run.returncode:
        raise Failure(f"{' '.join(map(str, words))}\n{(run.stderr or run.stdout).strip()}")
    return run.stdout.strip()


def newest_python():
    """The newest release of CPython that is installed here, as far as uv or pyenv know of it."""
    folders = [str(path) for path in Path.home().glob(".pyenv/versions/*/bin")]
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    listed = shell(
        uv(), "python", "list", "--only-installed", "--output-format", "json", env=os.environ | {"PATH": path}
    )
    found = [
        python
        for python in json.loads(listed)
        if python["implementation"] == "cpython"
        and python["variant"] == "default"
        and python["version"].replace(".", "").isdigit()  # no release candidate
    ]
    parts = [
        (p["version_parts"]["major"], p["version_parts"]["minor"], p["version_parts"]["patch"]) for p in found
    ]
    return found[parts.index(max(parts))]["path"]


def uv():
    return Path(sys.executable).with_name("uv")


def make_machine(python, torch):
    """Make the environment that all notebooks start from; return its Python and a line about it."""
    base = PLACE / "base"
    shell(uv(), "venv", "--quiet", "--clear", "--python", python, base)
    cpu = ["--torch-backend", "cpu"] if torch == "cpu" else []
    shell(uv(), "pip", "install", "--quiet", "--python", base / "bin" / "python", *cpu, *PACKAGES)
    colab = packages_of(base) / "google" / "colab"
    colab.mkdir(parents=True)
    for name, text in STUB.items():
        (colab / name).write_text(text)
    versions = json.loads(shell(uv(), "pip", "list", "--format", "json", "--python", base / "bin" / "python"))
    version = {package["name"]: package["version"] for package in versions}
    named = ", ".join(
        f"{name} {version[name]}" for name in ("torch", "torchvision", "numpy", "pandas", "ipykernel")
    )
    return base, f"Python {shell(base / 'bin' / 'python', '-V').split()[1]}, {named}"


def packages_of(environment):
    (folder,) = environment.glob("lib/python3*/site-packages")
    return folder


def notebooks(source, names):
    """{name: path} of the twins and the students' notebooks of a clone, all or those named."""
    build = PLACE / "assignments"
    shell(sys.executable, source / "assignments" / "course.py", "build", "--built", build)
    paths = [*sorted((source / "notebooks").glob("*.ipynb")), *sorted(build.glob("*/student/*.ipynb"))]
    found = {path.stem: path for path in paths}
    if unknown := [name for name in names if not any(stem.startswith(name) for stem in found)]:
        raise Failure(f"no notebook {', '.join(unknown)}; there are {', '.join(found)}")
    return {stem: path for stem, path in found.items() if not names or any(stem.startswith(n) for n in names)}


def start(name, base, source):
    """Make the machine of one notebook: return its folder, and the variables that a kernel needs there."""
    home = PLACE / "machines" / name
    content, own = home / "content", home / "python"
    content.mkdir(parents=True)
    shell(uv(), "venv", "--quiet", "--seed", "--python", base / "bin" / "python", own)
    # What is installed later lies before it on the path, and pip can't change what is in it.
    (packages_of(own) / "colab.pth").write_text(f"{packages_of(base)}\n")
    kernel = home / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    address, _ = lessons.repository()
    about = {
        "argv": [
            str(own / "bin" / "python"),
            *["-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "--IPKernelApp.kernel_class=google.colab._kernel.Kernel",
        ],
        "display_name": "Python 3",
        "language": "python",
        "env": {
            "PATH": os.pathsep.join([str(own / "bin"), os.environ["PATH"]]),
            "PYTHONPATH": "",
            "IPYTHONDIR": str(home / "ipython"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            # Two notebooks at a time, on two cores.
            "OMP_NUM_THREADS": "1",
            "LOKY_MAX_CPU_COUNT": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{source.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": address,
        },
    }
    (kernel / "kernel.json").write_text(json.dumps(about))
    # The kernel's remark that its loopback sockets aren't encrypted is of no use here.
    lessons.write(
        home / "ipython" / "profile_default" / "ipython_kernel_config.py",
        "c.Application.log_level = 'ERROR'\n",
    )
    return home, content


def in_smoke(notebook):
    """Set the parameters of a lesson or an assignment to their smallest values."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source += '\nprofile, size = "smoke", "trial"'
            return
    raise Failure("it has no cell tagged `parameters`")


def execute(name, path, base, source):
    """Execute a notebook, and keep it; return [(seconds, processor seconds)] of its first cell and of all."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    home, content = start(name, base, source)
    notebook = nbformat.read(path, as_version=4)
    in_smoke(notebook)
    first = next(k for k, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    for place in (first + 1, len(notebook.cells) + 1):
        notebook.cells.insert(place, nbformat.v4.new_code_cell(MEASURE))
    kernels = KernelSpecManager(kernel_dirs=[str(home / "jupyter" / "kernels")], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels)
    where = {"metadata": {"path": str(content)}}
    client = NotebookClient(notebook, km=manager, timeout=CELL_LIMIT, resources=where, record_timing=True)
    begin = time.perf_counter()
    try:
        client.execute()
    except CellExecutionError as error:
        raise Failure(f"code cell {reached(notebook)}: {error.ename}: {error.evalue.strip()}") from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise Failure(f"code cell {reached(notebook)}: {str(error).splitlines()[0]}") from None
    finally:
        nbformat.write(notebook, home / path.name)
    whole = time.perf_counter() - begin
    last = notebook.cells[-1]
    seconds = seconds_of(notebook.cells[first])
    look(notebook.cells[first], last, seconds, home)
    cpu = [float(text_of(cell).split()[0]) for cell in (notebook.cells[first + 1], last)]
    return [(seconds, cpu[0]), (whole, cpu[1])]


def reached(notebook):
    """The number of the code cell that a notebook came to, as a reader counts."""
    own = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source != MEASURE]
    return sum("execution" in cell.metadata for cell in own)


def look(first, last, seconds, home):
    """Fail unless the first cell said what it has to, in time, and changed nothing that was there."""
    said = text_of(first)
    if "gru_lite" not in said or "GPU" not in said:
        raise Failure(f"the first cell doesn't say what it installed, or whether there is a GPU: {said!r}")
    if seconds > SETUP_LIMIT and not is_busy():
        raise Failure(f"the first cell took {seconds:.0f} s, more than {SETUP_LIMIT}")
    package = Path(text_of(last).strip().partition(" ")[2])
    if not package.is_relative_to((home / "content" / "gru-lite").resolve()):
        raise Failure(f"the package came from {package}, not from the clone that the first cell made")
    changed = KEPT & {path.name for path in packages_of(home / "python").iterdir()}
    if changed:
        raise Failure(f"the first cell installed {', '.join(sorted(changed))} again")


def is_busy():
    """Whether other work shares this machine, so that seconds say little."""
    return os.getloadavg()[0] > 2 * os.cpu_count()


def text_of(cell):
    return "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout")


def seconds_of(cell):
    begin, end = (
        datetime.fromisoformat(cell.metadata.execution[key])
        for key in ("iopub.execute_input", "shell.execute_reply")
    )
    return (end - begin).total_seconds()


def report(name, path, base, source):
    """Execute a notebook and print its line; return whether it passed."""
    try:
        first, whole = execute(name, path, base, source)
    except Failure as problem:
        print(f"{name:<38}FAILED: {problem}", flush=True)
        return False
    line = (
        f"first cell {first[0]:3.0f} s (CPU {first[1]:3.0f} s), all {whole[0]:4.0f} s (CPU {whole[1]:3.0f} s)"
    )
    print(f"{name:<38}passed: {line}", flush=True)
    return True


def main(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="the first letters of notebooks; default: all")
    parser.add_argument("--python", help="which Python; default: the newest that is installed")
    parser.add_argument("--torch", help="cpu: the smaller build, where its index can be reached")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (2)")
    options = parser.parse_args(words)
    begin = time.perf_counter()
    shell("rm", "-rf", PLACE)
    source = PLACE / "source"
    _, branch = lessons.repository()
    shell("git", "clone", "--quiet", ROOT, source)
    shell("git", "-C", source, "checkout", "--quiet", "-B", branch)
    if shell("git", "-C", ROOT, "status", "--porcelain"):
        print("note: what isn't committed is not tested")
    chosen = notebooks(source, options.names)
    base, line = make_machine(options.python or newest_python(), options.torch)
    print(f"{line}; made in {time.perf_counter() - begin:.0f} s", flush=True)
    if is_busy():
        print("note: this machine is busy with other work: seconds aren't judged")
    with ThreadPoolExecutor(options.jobs) as pool:
        passed = list(pool.map(lambda item: report(*item, base, source), chosen.items()))
    failed = [name for name, is_right in zip(chosen, passed) if not is_right]
    kept = (PLACE / "machines").relative_to(ROOT)
    seconds = time.perf_counter() - begin
    print(f"{sum(passed)} passed, {len(failed)} failed in {seconds:.0f} s; outputs: {kept}")
    if failed:
        raise Failure(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    try:
        main()
    except Failure as problem:
        sys.exit(f"colab: {problem}")
