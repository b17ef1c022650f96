"""What the runs of a data set are trained with: the paper's published values, or ours; and the scores it reports.

Both files of the folder paper/ hold facts of the publication. Hyperparameters: a row for each data set, model, scenario
("one group", "9 groups", "25 groups"), ratio, method and REWEIGHT.
"""

import csv
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pandas as pd

from .configs import make_config, retains
from .errors import InputError
from .methods import METHODS
from .train import TrainConfig

PAPER = Path(__file__).parent / "paper"
RETAIN_BATCH = 128  # of SCRUB, where the table names the batch of its ascent; and of every method of the corrected preset
UNLEARNING_EPOCHS = 10


@lru_cache
def hyperparameters():
    """The rows of the published table, as dicts of texts."""
    with open(PAPER / "hyperparameters.csv", newline="") as file:
        return tuple(csv.DictReader(file))


def reported():
    """What the first version of the paper reports (arXiv v1, CelebA with target Attractive): DataFrame of seed means."""
    return pd.read_csv(PAPER / "reported_v1.csv")


def scenario(groups):
    """The table's name of a request, given as --groups is: () or one group, a set by its number, or several groups."""
    n = int(groups[0]) if len(groups) == 1 and groups[0].isdigit() else len(groups) or 1
    return "one group" if n == 1 else f"{n} groups"


def paper(dataset, model, groups, ratio, method, reweight):
    """Return the published config of one run; MIU and SalUn as released.

    Args:
        dataset, model: as in RunOptions. groups: as its --groups. ratio: text, or None for the original.
        method: of the paper, "original", or anything else that is trained like a retrain. reweight: True or False.

    Raises:
        InputError: the table has no such row; lists the requests that it has.
    """
    name = method if method in METHODS else "pretrain" if ratio is None else "retrain"
    mine = [row for row in hyperparameters() if row["dataset"] == dataset
            and (row["method"], row["reweight"]) == (name, "yes" if reweight else "no")]
    wanted = (model, scenario(groups), ratio) if method in METHODS else (model, "any", "any")
    row = next((row for row in mine if (row["model"], row["scenario"], row["forget_ratio"]) == wanted), None)
    if row is None:
        known = "; ".join(f"{row['model']}, {row['scenario']}, ratio {row['forget_ratio']}" for row in mine)
        raise InputError(f"--preset paper has no values of {name}{' with REWEIGHT' * reweight} for {dataset}: {wanted[0]}, {wanted[1]}, "
                         f"ratio {wanted[2]}; it has {known or 'no such method'} (--preset corrected takes any)")
    return _config(method, row)


def corrected(dataset, model, method):
    """Return our config of one run: trained like the paper's, unlearnt with what is corrected, for any request.

    Every method has the same batches of R and so the same number of steps; its learning rate stands to that of training
    as its default does. A model that the paper does not train has its training, at a learning rate of 0.01 at most.
    """
    row = next(row for row in hyperparameters() if (row["dataset"], row["method"]) == (dataset, "pretrain"))
    training = _config(None, row)
    if model != row["model"]:
        training = replace(training, lr=min(training.lr, 0.01))
    if method not in METHODS:
        return training
    config = METHODS[method][1]()
    if retains(method):
        config = replace(config, epochs=UNLEARNING_EPOCHS, batch_size=RETAIN_BATCH)
    lr = float(f"{training.lr * config.lr / TrainConfig().lr:.3g}")
    return replace(config, lr=lr, weight_decay=training.weight_decay, shift=0, augment=training.augment, optimizer=training.optimizer)


def _config(method, row):
    """The config that a row of the table describes."""
    values = {name: int(row[name]) for name in ("batch_size", "epochs", "warmup_epochs")}
    values |= {name: float(row[name]) for name in ("lr", "weight_decay")}
    values |= {name: row[name] for name in ("schedule", "optimizer")}
    # a crop replaces the shift, which is for images of a few pixels
    values |= {"augment": row["train_augmentation"] == "True", "shift": 0}
    if row["momentum"]:
        values["momentum"] = float(row["momentum"])
    if method not in METHODS:
        return TrainConfig(**values)
    if method in ("salun", "scrub", "miu"):
        values["forget_batch_size"] = values["batch_size"]
    if method in ("scrub", "miu"):
        values["forget_epochs"] = int(row["forget_epochs"])
    if method == "scrub":
        values["batch_size"] = RETAIN_BATCH
    if method == "miu":
        values |= {"critic_lr": float(row["critic_lr"]), "lambda_mi": float(row["lambda_mi"])}
    if method in ("salun", "miu"):
        values["as_released"] = True
    return make_config(method, values)
