"""What surrounds the code: workflows, hooks, a release, and the check that a site is whole."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = {
    hook["id"]: hook
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    for hook in repo["hooks"]
}


@pytest.fixture
def tools(monkeypatch):
    """The scripts of book/_tools."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_tools")
    import release
    import site_check

    return SimpleNamespace(release=release, site_check=site_check)


# Workflows


def steps(file):
    """The commands of a workflow."""
    jobs = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_call_what_is_there(file):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert steps(file) or file.stem != "ci"
    for command in steps(file):
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert re.search(rf"^{target}:.*##", makefile, flags=re.M), f"{command}: no such target"
        for path in re.findall(r"[\w./]+\.(?:py|sh)\b|\.ci/run", command):
            assert (ROOT / path).is_file(), f"{command}: no such file"


def test_ci_has_every_python_that_the_package_names():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {c.rsplit(" ", 1)[1] for c in project["classifiers"] if "Python :: 3." in c}
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    setup = next(step for step in jobs["test"]["steps"] if "setup-python" in step.get("uses", ""))
    tested = {setup["with"]["python-version"], *jobs["units"]["strategy"]["matrix"]["python"]}
    assert tested == named and min(named) == project["requires-python"].removeprefix(">=")


def test_a_site_is_checked_before_it_is_uploaded():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    done = [step.get("run") or step["uses"] for step in jobs["test"]["steps"]]
    checked = next(i for i, step in enumerate(done) if "site_check.py" in step)
    assert "upload-pages-artifact" in done[checked + 1] and "test" in jobs["deploy"]["needs"]


# The site


@pytest.fixture
def site(tools, tmp_path):
    """A site with a page for each that `missing` asks for."""
    for name in tools.site_check.missing(tmp_path):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("<h1>A page</h1>")
    (tmp_path / "index.html").write_text('<meta content="0; url=book/index.html">')
    return tmp_path


def test_a_whole_site(tools, site):
    listed = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert len(list(site.rglob("*.html"))) == len(listed) + 1
    assert tools.site_check.missing(site) == []


@pytest.mark.parametrize(
    "name", ["index.html", "book/index.html", "book/executed/00_start_here.html", "book/api/cli.html"]
)
def test_a_site_that_lacks_a_page(tools, site, name):
    (site / name).write_text("")
    assert tools.site_check.missing(site) == [name]
    (site / name).unlink()
    assert tools.site_check.missing(site) == [name]


def test_a_lesson_that_the_contents_forget(tools, site, monkeypatch):
    lessons = tools.site_check.lessons
    new = lessons.NOTEBOOKS / "99_new.py"
    monkeypatch.setattr(lessons, "lessons", lambda: [new])
    assert tools.site_check.missing(site) == ["book/executed/99_new.html"]


# A release


@pytest.fixture
def copy(tools, tmp_path, monkeypatch):
    """The files of the repository that a release reads, with a first version in the changelog."""
    for name in ("pyproject.toml", "CITATION.cff", "gru_lite/__init__.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    version = tools.release.versions()["pyproject.toml"]
    section = f"## [Unreleased]\n\n## [{version}] - 2026-12-01\n\n### Added\n\n- A wheel.\n\n"
    section += "## [0.0.1] - 2026-11-01\n"
    changes.write_text(re.sub(r"^## \[Unreleased\]\n.*", section, changes.read_text(), flags=re.M | re.S))
    monkeypatch.setattr(tools.release, "ROOT", tmp_path)
    return tmp_path


def test_versions_agree_with_the_tag(tools, copy):
    release, version = tools.release, tools.release.versions()["pyproject.toml"]
    release.check(f"v{version}")
    assert release.notes(f"v{version}") == "### Added\n\n- A wheel.\n"
    with pytest.raises(release.ReleaseError, match=f"the tag is v9, but pyproject.toml says {version}"):
        release.check("v9")


@pytest.mark.parametrize(
    "name, old",
    [("CITATION.cff", "\nversion: "), ("gru_lite/__init__.py", '__version__ = "'), ("CHANGELOG.md", "## [")],
)
def test_a_version_that_differs_is_named(tools, copy, name, old):
    version = tools.release.versions()["pyproject.toml"]
    text = (copy / name).read_text()
    assert f"{old}{version}" in text
    (copy / name).write_text(text.replace(f"{old}{version}", f"{old}8.8.8"))
    with pytest.raises(tools.release.ReleaseError, match=f"but {name} says 8.8.8$"):
        tools.release.check(f"v{version}")


def test_an_unreleased_changelog_has_no_version(tools, monkeypatch, tmp_path):
    (tmp_path / "gru_lite").mkdir()
    for name in ("pyproject.toml", "CITATION.cff", "gru_lite/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n- A wheel.\n")
    monkeypatch.setattr(tools.release, "ROOT", tmp_path)
    with pytest.raises(tools.release.ReleaseError, match="CHANGELOG.md says none$"):
        tools.release.check(f"v{tools.release.versions()['pyproject.toml']}")


@pytest.mark.slow
def test_what_a_release_holds(tools, monkeypatch, tmp_path):
    """Everything but the printing of the PDF, which tests/test_pdf.py is about."""
    (tmp_path / "pdf").mkdir()
    (tmp_path / "pdf" / tools.release.pdf.BOOK).write_bytes(b"%PDF")
    monkeypatch.setattr(tools.release.pdf, "FOLDER", tmp_path / "pdf")
    monkeypatch.setattr(tools.release, "DIST", tmp_path / "dist")
    tools.release.make()
    made = {file.suffix: file for file in (tmp_path / "dist").iterdir()}
    assert set(made) == {".whl", ".gz", ".pdf", ".zip"}
    notebooks = {Path(name).name for name in zipfile.ZipFile(made[".zip"]).namelist()}
    assert notebooks == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}


# Hooks


# What each hook is for, as a file that breaks it.
BROKEN = {
    "format": ("mine.py", "x = [1,\n2]\n"),
    "lint": ("mine.py", "import os\n"),
    "spelling": ("mine.md", "Recieve it.\n"),  # codespell:ignore
    "twins": ("notebooks/00_start_here.py", None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_finds_what_it_is_for(name, tmp_path):
    """By pre-commit itself, in a repository that holds what the hooks need."""
    assert set(BROKEN) == set(HOOKS)
    # The package, too: by its files ruff tells our imports from others.
    needed = "book/_tools book/references.bib gru_lite notebooks _config.yml pyproject.toml"
    for part in needed.split():
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".gitignore").write_text(".venv\n")

    def hook():
        subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
        words = [sys.executable, "-m", "pre_commit", "run", name, "--all-files"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)

    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    done = hook()
    assert done.returncode == 0 and "Skipped" not in done.stdout, done.stdout + done.stderr
    file, text = BROKEN[name]
    place = tmp_path / file
    place.write_text(text or place.read_text(encoding="utf-8").replace("# # ", "# # Now, ", 1))
    done = hook()
    assert done.returncode == 1 and "Failed" in done.stdout, done.stdout + done.stderr
    if name == "twins":  # it has written the notebook, so the second try goes well
        assert hook().returncode == 0
