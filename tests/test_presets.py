"""What a data set is trained with.

The published table row by row, our values, and a run from end to end on a stand-in.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
import trees

import gru_lite as gru
from gru_lite import cli, experiment, methods, models, options, presets, train
from gru_lite.data.waterbirds import write_example_tree

GROUPS = {"one group": (), "any": (), "9 groups": ("9",), "25 groups": ("25",)}
DATA = ["--dataset", "waterbirds", "--root", "DATA"]


# The published table.


def asked(row):
    """The arguments of `presets.paper` that a row answers."""
    method = {"pretrain": "original"}.get(row["method"], row["method"])
    ratio = {"pretrain": None, "retrain": "0.25"}.get(row["method"], row["forget_ratio"])
    return row["dataset"], row["model"], GROUPS[row["scenario"]], ratio, method, row["reweight"] == "yes"


@pytest.mark.parametrize("row", presets.hyperparameters(), ids=lambda row: "-".join(list(row.values())[:6]))
def test_every_row_is_a_config(row):
    config = presets.paper(*asked(row))
    assert type(config) is (
        methods.METHODS[row["method"]][1] if row["method"] in methods.METHODS else gru.TrainConfig
    )
    texts = {
        "epochs": "epochs",
        "lr": "lr",
        "momentum": "momentum",
        "weight_decay": "weight_decay",
        "warmup_epochs": "warmup_epochs",
        "forget_epochs": "forget_epochs",
        "critic_lr": "critic_lr",
        "lambda_mi": "lambda_mi",
    }
    for column, field in texts.items():
        assert row[column] == "" or getattr(config, field) == float(row[column]), column
    assert (config.schedule, config.optimizer, str(config.augment)) == (
        row["schedule"],
        row["optimizer"],
        row["train_augmentation"],
    )
    assert getattr(config, "forget_batch_size" if row["method"] == "scrub" else "batch_size") == int(
        row["batch_size"]
    )


def test_the_table_is_whole():
    rows = presets.hyperparameters()
    assert len(rows) == len(set(map(asked, rows))) == 108
    assert Counter(row["dataset"] for row in rows) == {
        "celeba": 27,
        "fairface": 43,
        "multinli": 11,
        "waterbirds": 27,
    }


def test_rows_read_by_hand():
    """Copied from the table by eye."""
    assert presets.paper("waterbirds", "resnet18", (), "0.5", "miu", True) == methods.MIUConfig(
        epochs=10,
        batch_size=256,
        lr=0.1,
        weight_decay=1e-4,
        schedule="cosine",
        warmup_epochs=0,
        shift=0,
        augment=False,
        forget_epochs=5,
        forget_batch_size=256,
        critic_lr=0.01,
        lambda_mi=10.0,
        as_released=True,
    )
    assert presets.paper("fairface", "resnet18", ("9",), "0.5", "scrub", False) == methods.SCRUBConfig(
        epochs=10,
        batch_size=128,
        forget_batch_size=256,
        lr=1e-3,
        weight_decay=5e-4,
        forget_epochs=7,
        shift=0,
        augment=False,
    )
    assert presets.paper("celeba", "resnet18", (), "0.9", "salun", True) == methods.SalUnConfig(
        epochs=10,
        batch_size=256,
        forget_batch_size=256,
        lr=0.01,
        weight_decay=1e-3,
        schedule="const",
        shift=0,
        augment=True,
        as_released=True,
    )
    assert presets.paper("multinli", "bert", (), "0.5", "l1_sparse", True) == methods.L1SparseConfig(
        epochs=10,
        batch_size=32,
        lr=1e-6,
        weight_decay=0.0,
        optimizer="adamw",
        shift=0,
        augment=False,
        alpha=5e-4,
    )
    assert presets.paper("waterbirds", "resnet18", ("0,1", "1,0"), "0.3", "ceiling", True) == gru.TrainConfig(
        epochs=30,
        batch_size=32,
        lr=0.01,
        weight_decay=1e-3,
        schedule="const",
        warmup_epochs=2,
        shift=0,
        augment=True,
    )


@pytest.mark.parametrize(
    "what, culprit",
    [
        (
            ("waterbirds", "resnet18", (), "0.3", "miu", True),
            "miu with REWEIGHT for waterbirds: resnet18, one group, ratio 0.3; it has resnet18, one group, "
            "ratio 0.1; resnet18, one group, ratio 0.5; resnet18, one group, ratio 0.9 (",
        ),
        (
            ("fairface", "resnet18", ("9",), "0.9", "salun", False),
            "salun for fairface: resnet18, 9 groups, ratio 0.9; it has .*resnet18, 25 groups, ratio 0.5 ",
        ),
        (("celeba", "resnet18", ("0,0", "1,1"), "0.5", "miu", True), "2 groups"),
        (("celeba", "vit_b_16", (), None, "original", False), "pretrain .*vit_b_16"),
        (("multinli", "bert", (), "list", "scrub", True), "ratio list"),
        (("waterbirds", "resnet18", (), "0.5", "eu_k", True), "no such method"),
    ],
)
def test_what_the_table_lacks(what, culprit):
    with pytest.raises(gru.InputError, match=culprit.replace("(", r"\(")) as error:
        presets.paper(*what)
    assert "\n" not in str(error.value)


# Ours.


@pytest.mark.parametrize("dataset, models", options.DATASET_MODELS.items())
def test_the_corrected_preset(dataset, models):
    assert presets.corrected(dataset, models[0], "retrain") == presets.paper(
        dataset, models[0], (), "0.5", "retrain", True
    )
    configs = {method: presets.corrected(dataset, models[0], method) for method in methods.METHODS}
    retain = {(c.epochs, c.batch_size) for method, c in configs.items() if method != "gradient_ascent"}
    assert retain == {(10, 128)}  # so that all make the same number of steps on R
    assert (
        not configs["miu"].as_released
        and not configs["salun"].as_released
        and configs["salun"].masked == "restored"
    )
    for method, config in configs.items():
        assert (config.shift, config.warmup_epochs, config.optimizer) == (
            0,
            0,
            "adamw" if dataset == "multinli" else "sgd",
        )
    # the defaults train at 0.05 and run SCRUB at 0.01
    training = presets.corrected(dataset, models[0], "original").lr
    assert configs["scrub"].lr == pytest.approx(training / 5) and configs["miu"].lr == pytest.approx(training)


def test_a_model_that_the_paper_does_not_train():
    assert presets.corrected("fairface", "resnet18", "original").lr == 0.1
    assert presets.corrected("fairface", "vit_b_16", "original") == replace(
        presets.corrected("fairface", "resnet18", "original"), lr=0.01
    )


# Flags.


@pytest.mark.parametrize(
    "words, culprit",
    [
        (
            ["--dataset", "waterbird", "--root", "x"],
            "unknown data set 'waterbird': did you mean 'waterbirds'?",
        ),
        (["--dataset", "waterbirds"], "--dataset waterbirds needs --root DIR"),
        ([*DATA, "--benchmark", "waterdigits"], "--manifest FILE or --dataset NAME"),
        *(
            (["--benchmark", "waterdigits", f"--{name}", value], f"--{name} has no meaning for a benchmark")
            for name, value in (
                ("root", "x"),
                ("target", "x"),
                ("preset", "paper"),
                ("model", "resnet18"),
                ("weights", "none"),
            )
        ),
        ([*DATA, "--target", "Attractive"], "--target is for celeba"),
        (
            ["--dataset", "celeba", "--root", "x", "--target", "attractive"],
            "unknown --target 'attractive': did you mean 'Attractive'?",
        ),
        ([*DATA, "--preset", "papers"], "did you mean 'paper'"),
        ([*DATA, "--model", "bert"], "--model 'bert'"),
        (
            ["--dataset", "multinli", "--root", "x", "--model", "resnet18"],
            "--model 'resnet18': choose from bert",
        ),
        ([*DATA, "--weights", "timm"], "--weights 'timm'"),
        ([*DATA, "--image-size", "4"], "--image-size 4"),
        ([*DATA, "--image-size", "64", "--model", "vit_b_16"], "vit_b_16 takes 224 alone"),
        (["--dataset", "multinli", "--root", "x", "--image-size", "64"], "--image-size is for images"),
        ([*DATA, "--preset", "paper", "--configs", "x.json"], "leave out --configs"),
        ([*DATA, "--preset", "paper", "--reweight", "top_up"], "leave out --reweight"),
        (
            [*DATA, "--preset", "paper", "--ratio", "0.3", "--methods", "miu"],
            "it has resnet18, one group, ratio 0.1",
        ),
        (
            [*DATA, "--preset", "paper", "--model", "vit_b_16"],
            "no values of pretrain for waterbirds: vit_b_16",
        ),
    ],
)
def test_bad_flags(words, culprit, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        experiment, "load", lambda *_, **__: pytest.fail("nothing is read before the flags are right")
    )
    assert cli.main(["run", *words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and culprit in said and not (tmp_path / "out").exists()


def test_what_is_asked_by_default(tmp_path):
    made = gru.RunOptions(dataset="celeba", root=tmp_path, methods=("all",))
    assert (made.target, made.preset, made.model, made.weights) == (
        "Blond_Hair",
        "corrected",
        "resnet18",
        "imagenet",
    )
    assert made.methods == tuple(gru.METHODS) and replace(made, seeds=1).target == "Blond_Hair"
    made = gru.RunOptions(dataset="multinli", root=tmp_path, preset="paper", methods=("finetune", "all"))
    assert (made.target, made.model, made.methods) == (
        None,
        "bert",
        ("finetune", "l1_sparse", "salun", "scrub", "miu"),
    )
    assert gru.RunOptions(benchmark="waterdigits").preset is None
    compiled = experiment._config_of(
        gru.RunOptions(benchmark="waterdigits", compile=True), experiment.Run("original", None, None, 0)
    )
    assert compiled == gru.TrainConfig(compile=True)


# A run from end to end.


@pytest.fixture
def stand_in(bench, monkeypatch):
    """Waterbirds as a few small images, and a small model in the place of the large one.

    Returns what was asked for.
    """
    calls = []

    def load(name, root, seed, **given):
        calls.append((name, str(root), seed, given))
        return replace(bench, name=name, default_groups=((1, 0),))

    def build(name, n_classes, seed, weights):
        calls.append((name, n_classes, seed, weights))
        return gru.build_model("small_resnet", n_classes, seed)

    monkeypatch.setattr(experiment, "load", load)
    monkeypatch.setattr(experiment, "build_model", build)
    return calls


def words(out, *more):
    return [
        "run",
        *DATA,
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--image-size",
        "32",
        "--weights",
        "none",
        "--jobs",
        "1",
        "--out",
        str(out),
        *more,
    ]


def test_a_run(stand_in, tmp_path, capsys, monkeypatch):
    out, kept = tmp_path / "out", []
    monkeypatch.setattr(
        experiment,
        "fit",
        lambda *a, keep_best, **k: kept.append(len(keep_best)) or gru.fit(*a, keep_best=keep_best, **k),
    )
    assert cli.main(words(out, "--preset", "paper", "--methods", "all", "finetune")) == 0
    said = capsys.readouterr().out
    assert (
        stand_in[0] == ("waterbirds", "DATA", 0, {"image_size": 32})
        and ("resnet18", 2, 0, "none") in stand_in
    )
    assert kept == [80] * 4  # original, two retrainings and the ceiling
    assert said.startswith("Forgetting 50% of group (1, 0) hole on land (15 train samples), 1 seed")
    lines = said.splitlines()
    assert (
        sum(
            line.startswith(("finetune [not in the paper]", "finetune + REWEIGHT [not in the paper]"))
            for line in lines
        )
        == 2
    )
    start = next(i for i, line in enumerate(lines) if line.startswith("Ratio 0.5, means: ours, (reported"))
    assert [line.split("  ")[0] for line in lines[start + 2 : start + 5]] == [
        "original (no-op)",
        "retrain",
        "retrain + REWEIGHT",
    ]
    assert (
        "(98.9, " in lines[start + 2]
        and lines[-1] == "Not reported: ceiling (held-out ref.), finetune, finetune + REWEIGHT."
    )

    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["data"], recipe["model"], recipe["preset"], recipe["weights"], recipe["image_size"]) == (
        "waterbirds",
        "resnet18",
        "paper",
        "none",
        32,
    )
    config = {
        name: json.loads((out / "runs" / name / "run.json").read_text())["config"]
        for name in ("original-s0", "miu-r0.5-s0", "miu-replacement-r0.5-s0", "finetune-r0.5-s0")
    }
    assert (
        config["original-s0"]["augment"],
        config["original-s0"]["epochs"],
        config["original-s0"]["warmup_epochs"],
    ) == (True, 1, 0)
    assert config["miu-replacement-r0.5-s0"] == asdict(
        replace(presets.paper("waterbirds", "resnet18", (), "0.5", "miu", True), epochs=1)
    )
    assert config["finetune-r0.5-s0"] == asdict(
        replace(presets.corrected("waterbirds", "resnet18", "finetune"), epochs=1)
    )

    # the same folder takes no other preset, and no other images
    before = {path: path.read_bytes() for path in out.rglob("*.json")}
    assert cli.main(words(out)) == 2
    assert (
        "its lr" not in (said := capsys.readouterr().err) and "its preset is paper, yours corrected" in said
    )
    whole = experiment.load("waterbirds", "DATA", 0)
    images = whole.val.images.copy()
    images[-1] += 1
    monkeypatch.setattr(
        experiment, "load", lambda *_, **__: replace(whole, val=replace(whole.val, images=images))
    )
    assert cli.main(words(out, "--preset", "paper")) == 2
    assert "another recipe: its content is" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*.json")} == before


def test_a_run_of_another_request(stand_in, tmp_path, capsys, monkeypatch):
    """Ours takes any; values of --configs replace its own.

    And nothing is compared with what is of another group.
    """
    file = tmp_path / "mine.json"
    file.write_text('{"finetune": {"lr": 0.02}}')
    assert (
        cli.main(
            words(
                tmp_path / "out",
                "--groups",
                "0,1",
                "--ratio",
                "0.3",
                "--methods",
                "finetune",
                "--configs",
                str(file),
            )
        )
        == 0
    )
    assert capsys.readouterr().out.endswith(
        "\nNot reported: the numbers of waterbirds in the paper's first version are of the default group, not others.\n"
    )
    config = json.loads((tmp_path / "out/runs/finetune-r0.3-s0/run.json").read_text())["config"]
    assert (config["lr"], config["batch_size"], config["weight_decay"]) == (0.02, 128, 1e-3)


def test_sets_of_groups(bench, tmp_path, monkeypatch, dataset):
    """--groups 9 is the paper's set, of each of which a share is forgotten."""
    counts = np.full((9, 7), 2)
    data = dataset(counts)
    faces = gru.Benchmark("fairface", data, data, data, ((3, 0),))
    monkeypatch.setattr(experiment, "load", lambda *_, **__: faces)
    made = gru.RunOptions(dataset="fairface", root=tmp_path, groups=("9",), preset="paper", methods=("all",))
    split = experiment._check_request(made, experiment._data(made, 0, None))
    assert set(split.groups) == {(y, s) for y in (3, 6, 1) for s in (0, 4, 5)} and len(split.forget) == 9
    assert experiment._config_of(made, experiment.Run("miu", None, "0.5", 0)).critic_lr == 0.1
    monkeypatch.setattr(experiment, "_load", lambda *_, **__: faces)
    with pytest.raises(gru.InputError, match="group '12' is not a pair"):
        experiment._check_request(replace(made, groups=("12",)), faces)


# From files in the formats of the downloads to the table.

TRIAL = ["--weights", "none", "--epochs", "1", "--seeds", "1", "--jobs", "1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, write, more, said",
    [
        (
            "waterbirds",
            write_example_tree,
            ["--image-size", "16", "--methods", "all"],
            "Ratio 0.5, means: ours",
        ),
        (
            "celeba",
            lambda root: trees.write_celeba(root, 96),
            ["--image-size", "16", "--preset", "paper", "--methods", "scrub", "miu"],
            "Not reported: the numbers of celeba in the paper's first version are of target Attractive, not Blond_Hair.",
        ),
        (
            "celeba",
            lambda root: trees.write_celeba(root, 96),
            ["--image-size", "16", "--target", "Attractive", "--methods", "eu_k"],
            "Ratio 0.5, means: ours",
        ),
        (
            "fairface",
            lambda root: trees.write_fairface(root, 1500, 200),
            ["--image-size", "16", "--preset", "paper", "--methods", "scrub"],
            "Ratio 0.5, means: ours",
        ),
        (
            "multinli",
            lambda root: trees.write_multinli(root, (120, 30, 30)),
            ["--preset", "paper", "--methods", "l1_sparse", "scrub"],
            "Not reported: the paper's first version has no numbers of multinli.",
        ),
    ],
    ids=["waterbirds", "celeba", "celeba-attractive", "fairface", "multinli"],
)
def test_from_files_to_the_table(name, write, more, said, tmp_path, capsys, monkeypatch):
    """The real loaders, models and schedules; BERT with one of its twelve layers."""
    if name == "multinli":
        transformers = pytest.importorskip("transformers")
        config = transformers.BertConfig(num_hidden_layers=1, intermediate_size=64, vocab_size=100)
        monkeypatch.setitem(
            models.ARCHITECTURES,
            "bert",
            lambda n_classes, **_: (
                models._Bert(transformers.BertModel(config)),
                torch.nn.Linear(768, n_classes),
            ),
        )
    write(tmp_path)
    words = ["--dataset", name, "--root", str(tmp_path), *TRIAL, *more, "--out", str(tmp_path / "out")]
    assert cli.main(["run", *words]) == 0
    output = capsys.readouterr()
    assert said in output.out and output.out.startswith("Forgetting 50% of group ")
    assert ("A trial run (--epochs 1, " in output.out) == said.startswith("Ratio")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert (table["status"] == "ok").all() and table[[*experiment.GAP_METRICS, "avg_gap"]].notna().all(
        axis=None
    )
    # all of it is there: nothing is computed again
    monkeypatch.setattr(experiment, "_execute", lambda *_: pytest.fail("computed twice"))
    assert cli.main(["run", *words]) == 0


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    """SIGKILL while pictures are prepared, models trained and unlearnt.

    In the end the same bytes as without.
    """
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    write_example_tree(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed", dirs_exist_ok=True)

    def command(name, jobs="1"):
        words = [
            "--dataset",
            "waterbirds",
            "--image-size",
            "16",
            *TRIAL,
            "--epochs",
            "2",
            "--methods",
            "finetune",
            "--save-models",
            "--jobs",
            jobs,
        ]
        folders = ["--root", str(tmp_path / name), "--out", str(tmp_path / name / "out")]
        return [sys.executable, "-m", "gru_lite", "run", *words, *folders]

    assert subprocess.run(command("whole"), capture_output=True).returncode == 0
    dice, kills = random.Random(1), 0
    for jobs in ("1", "2", "1"):
        before = set((tmp_path / "killed").rglob("*"))
        process = subprocess.Popen(
            command("killed", jobs),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and set((tmp_path / "killed").rglob("*")) == before:
            time.sleep(0.01)
        time.sleep(dice.random() / 2)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    assert subprocess.run(command("killed"), capture_output=True).returncode == 0
    files = [
        {path.relative_to(tmp_path / name): path for path in (tmp_path / name).rglob("*.safetensors")}
        for name in ("whole", "killed")
    ]
    assert files[0].keys() == files[1].keys() and len(files[0]) == 6
    assert all(path.read_bytes() == files[1][key].read_bytes() for key, path in files[0].items())
    tables = [
        pd.read_csv(tmp_path / name / "out" / "table.csv").drop(columns=["seconds", "share"])
        for name in ("whole", "killed")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert (tables[0]["status"] == "ok").all()


# Which epoch is kept.


def same(first, second):
    return all(
        np.array_equal(a, b)
        for a, b in zip(*(map(lambda t: t.numpy(), m.state_dict().values()) for m in (first, second)))
    )


@pytest.fixture(scope="module")
def by_epoch(model, bench):
    """(config of five epochs, the models after each of them).

    With a constant rate a shorter training is a part of it.
    """
    config = gru.TrainConfig(epochs=5, warmup_epochs=0, schedule="const", lr=0.1)
    models = [gru.fit(model, bench.train, config=replace(config, epochs=n), seed=3) for n in range(1, 6)]
    return config, models


def test_the_best_epoch_is_kept(by_epoch, model, bench, tmp_path, monkeypatch):
    config, models = by_epoch
    said = [gru.predict(m, bench.val).argmax(1) for m in models]
    best = 2
    judge = replace(bench.val, target=said[best])  # the third model is right everywhere
    assert not any(
        np.array_equal(said[best], other) for other in said[:best]
    )  # the fourth may be: the first of equal ones is kept
    assert same(gru.fit(model, bench.train, config=config, seed=3, keep_best=judge), models[best])
    assert same(gru.fit(model, bench.train, config=config, seed=3), models[-1])

    # killed before, at and after the best epoch
    write, file = train._write_checkpoint, tmp_path / "checkpoint.safetensors"

    def stopped(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "_write_checkpoint", stopped)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                gru.fit(model, bench.train, config=config, seed=3, keep_best=judge, checkpoint=file)
    assert same(
        gru.fit(model, bench.train, config=config, seed=3, keep_best=judge, checkpoint=file), models[best]
    )
    with pytest.raises(gru.InputError, match="checkpoint of another training"):
        gru.fit(model, bench.train, config=config, seed=3, checkpoint=file)


def test_records_read_as_before():
    """A folder that was written before augment, optimizer and compile were fields can be continued."""
    old = [
        "epochs",
        "batch_size",
        "lr",
        "momentum",
        "weight_decay",
        "schedule",
        "warmup_epochs",
        "shift",
        "precision",
        "threads",
    ]
    assert list(train.as_record(gru.TrainConfig())) == old
    assert list(train.as_record(methods.FinetuneConfig())) == old
    assert (
        train.as_record(gru.TrainConfig(augment=False, optimizer="adamw")).items()
        >= {"augment": False, "optimizer": "adamw"}.items()
    )
    assert set(
        experiment._config_record(
            gru.RunOptions(benchmark="waterdigits"), experiment.Run("original", None, None, 0)
        )
    ) == set(old)
