"""Make what a release uploads, in dist/: wheel, source, PDF and notebooks. `make release` runs it.

release.py [TAG]    TAG, such as v0.1.0, must be the version in all places that name one
"""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import lessons
import pdf
import yaml

ROOT = lessons.ROOT
DIST = ROOT / "dist"
NOTES = ROOT / "_build" / "release_notes.md"


class ReleaseError(Exception):
    """Something to mend before the release; shown without a traceback."""


def versions() -> dict[str, str]:
    """{file: the version that it names}; of CHANGELOG.md, its newest dated section."""

    def found(name, pattern):
        match = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), flags=re.M)
        return match[1] if match else "none"

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "pyproject.toml": project["version"],
        "CITATION.cff": str(citation["version"]),
        "gru_lite/__init__.py": found("gru_lite/__init__.py", r'^__version__ = "(.+)"$'),
        "CHANGELOG.md": found("CHANGELOG.md", r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$"),
    }


def check(tag: str) -> None:
    """Refuse a tag that isn't the version everywhere."""
    wrong = [f"{name} says {version}" for name, version in versions().items() if f"v{version}" != tag]
    if wrong:
        raise ReleaseError(f"the tag is {tag}, but {', '.join(wrong)}")


def notes(tag: str) -> str:
    """What CHANGELOG.md says of a version."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(tag[1:])}\] - .*?\n"
    return re.search(rf"{heading}(.*?)(?=^## |^\[|\Z)", text, flags=re.M | re.S)[1].strip() + "\n"


def make() -> None:
    """Fill dist/, from nothing."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--directory", DIST], cwd=ROOT, check=True)
    shutil.copy(pdf.FOLDER / pdf.BOOK, DIST)
    with zipfile.ZipFile(DIST / "gru-lite-notebooks.zip", "w", zipfile.ZIP_DEFLATED) as notebooks:
        for script in lessons.lessons():
            twin = script.with_suffix(".ipynb")
            notebooks.write(twin, f"gru-lite-notebooks/{twin.name}")


def main(words: list[str]) -> None:
    for tag in words:
        check(tag)
        lessons.write(NOTES, notes(tag))
    make()
    for file in sorted(DIST.iterdir()):
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ReleaseError as error:
        sys.exit(f"release: {error}")
