"""The names that people read: one place for figures, printed tables and lessons.

A method that is not listed has blanks for its underscores: `reference_2`, or one that somebody adds tomorrow.
"""

NAMES = {
    "original": "original (no-op)",
    "retrain": "retrain",
    "ceiling": "ceiling (held-out ref.)",
    "finetune": "fine-tune",
    "gradient_ascent": "gradient ascent",
    "eu_k": "EU-k",
    "l1_sparse": "L1-sparse",
    "salun": "SalUn",
    "scrub": "SCRUB",
    "miu": "MIU",
}
IN_THE_PAPER = ("l1_sparse", "salun", "scrub", "miu")


def name_of(method: str) -> str:
    """Return the name that people read: "L1-sparse" for `l1_sparse`, "my method" for `my_method`, "MIU, no
    calibration" for `miu:no_calibration`.
    """
    name, *variant = method.split(":")
    return ", ".join([NAMES.get(name, name.replace("_", " ")), *(part.replace("_", " ") for part in variant)])


def label(method: str, sampling: str = "none", several: bool = False) -> str:
    """Return the name of a row of a results table: "retrain", "retrain + REWEIGHT" ...

    Args:
        method: code name of the method.
        sampling: how REWEIGHT draws ("replacement" or "top_up"); "none" is without REWEIGHT.
        several: whether the table has more than one sampling, so that the name has to tell which.
    """
    if sampling == "none" or method == "ceiling":
        return name_of(method)
    return f"{name_of(method)} + REWEIGHT" + (f" ({sampling})" if several else "")


def reported_name(method: str, sampling: str = "none") -> str | None:
    """Return what the paper's first version calls a row in `reported_v1.csv`; None where it has no such row.

    Args:
        method: code name of the method.
        sampling: as for `label`; the paper draws with replacement.
    """
    if sampling not in ("none", "replacement"):
        return None
    if method == "original":
        return "Pretrain" if sampling == "none" else None
    if method == "miu":
        return "MIU without REWEIGHT" if sampling == "none" else "MIU"
    if method not in ("retrain", *IN_THE_PAPER):
        return None
    name = "Retrain" if method == "retrain" else name_of(method)
    return name if sampling == "none" else f"{name}+REWEIGHT"
