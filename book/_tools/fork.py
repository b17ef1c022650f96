"""Give the book another address: `make fork URL=https://github.com/me/course`.

The address stands in _config.yml. Badges, first cells and links to Colab and Binder are made from it. A few
files that others read as they are (README.md, pyproject.toml, CITATION.cff) repeat it, and change with it.
"""

import re
import subprocess
import sys

import lessons

ADDRESS = r"https://github\.com/([\w-]+/[\w.-]+?)(\.git)?/?"


def fork(url):
    """Write another address into every file that git knows; return their names."""
    match = re.fullmatch(ADDRESS, url)
    if match is None:
        raise lessons.LessonError(
            f"URL={url} isn't the address of a repository, such as https://github.com/me/course"
        )
    new, old = match[1], lessons.repository()[0].removeprefix("https://github.com/")
    # Also as it stands in addresses of Colab (/github/) and Binder (/gh/).
    wanted = re.compile(rf"(github\.com/|/github/|/gh/){re.escape(old)}(?![\w-])")
    found = subprocess.run(
        ["git", "grep", "-l", "-a", "-F", old], cwd=lessons.ROOT, capture_output=True, text=True
    )
    if found.returncode > 1:
        raise lessons.LessonError(f"git: {found.stderr.strip()}")
    texts = {name: (lessons.ROOT / name).read_text(encoding="utf-8") for name in found.stdout.splitlines()}
    changed = {name: wanted.sub(rf"\g<1>{new}", text) for name, text in texts.items()}
    changed = {name: text for name, text in changed.items() if text != texts[name]}
    for name, text in changed.items():
        lessons.write(lessons.ROOT / name, text)
    return list(changed)


if __name__ == "__main__":
    try:
        names = fork(sys.argv[1])
        lessons.main(["twins"])
    except lessons.LessonError as error:
        sys.exit(f"fork: {error}")
    print("\n".join(names))
    print(f"{len(names)} files have the new address. Look at them with git diff, and commit them.")
