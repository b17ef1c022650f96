"""What a notebook says on Colab before it begins: which processor does the work, and how long that took where
it was measured.
"""

import json
import os
from pathlib import Path

import torch

from . import __version__

EXECUTED = Path(__file__).resolve().parents[1] / "book" / "executed"


def welcome(notebook: str) -> None:
    """Print what was installed, the device, and the measured minutes of a lesson.

    Args:
        notebook: name of a lesson or an assignment, such as 00_start_here.
    """
    print(f"gru_lite {__version__} is installed.")
    print(device_line())
    print(time_line(notebook))


def device_line() -> str:
    """Return a sentence that names the GPU, or says that there is none."""
    if torch.cuda.is_available():
        return f"GPU: {torch.cuda.get_device_name(0)}. It does the work."
    return f"No GPU: the CPU does the work, with {os.cpu_count()} cores. Nothing here needs a GPU."


def time_line(notebook: str) -> str:
    """Return how many minutes the book's own run of a lesson took, if that had a GPU as this machine does."""
    kind = "a GPU" if torch.cuda.is_available() else "a CPU"
    unknown = f"How long this notebook takes on {kind} has not been measured."
    path = EXECUTED / f"{notebook}.ipynb"
    if not path.is_file():
        return unknown
    about = json.loads(path.read_text(encoding="utf-8"))["metadata"]["gru_lite"]
    if (about["gpu"] != "none") != torch.cuda.is_available():
        return unknown
    where = f"{about['cores']} cores of {about['cpu']}" if about["gpu"] == "none" else about["gpu"]
    minutes = f"{about['seconds'] / 60:.1f} minutes"
    return f"Measured on {about['date']}, profile {about['profile']}: {minutes} on {where}."
