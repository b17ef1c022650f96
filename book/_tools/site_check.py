"""Refuse a site that isn't whole: nothing is published in place of the book that readers have."""

import sys
from pathlib import Path

import lessons
import pdf
import yaml


def missing(site: Path) -> list[str]:
    """The files of a built site that are missing or empty: pages of _toc.yml, lessons, and the way in."""
    toc = yaml.safe_load((lessons.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    executed = lessons.EXECUTED.relative_to(lessons.ROOT).as_posix()
    pages = dict.fromkeys(pdf.pages_of(toc), "<h1")
    pages |= {f"{executed}/{script.stem}": "<h1" for script in lessons.lessons()}
    pages["index"] = f"{toc['root']}.html"  # it only leads there
    files = {site / f"{name}.html": text for name, text in pages.items()}
    return [
        path.relative_to(site).as_posix()
        for path, text in files.items()
        if not path.is_file() or text not in path.read_text(encoding="utf-8")
    ]


if __name__ == "__main__":
    if lacks := missing(pdf.SITE):
        sys.exit(f"the site is not whole: {len(lacks)} pages are missing or empty, {', '.join(lacks)}")
