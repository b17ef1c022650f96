"""What a data set is trained with.

The published table row by row, our values, and a run from end to end on a stand-in.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import trees
from commands import start
from refusals import accepted

import gru_lite as gru
from gru_lite import cli, models
from gru_lite.data.registry import DATASETS, module_of, source
from gru_lite.data.waterbirds import write_example_tree
from gru_lite.experiment import plan, runs
from gru_lite.experiment.store import Run
from gru_lite.methods import retains
from gru_lite.methods.l1_sparse import L1SparseConfig
from gru_lite.methods.miu import MIUConfig
from gru_lite.methods.salun import SalUnConfig
from gru_lite.methods.scrub import SCRUBConfig
from gru_lite.recipes.configs import TRAININGS, Recipe, as_record, corrected_config, paper_config
from gru_lite.recipes.published import hyperparameters
from gru_lite.scores import GAP_METRICS
from gru_lite.train import fitting

GROUPS = {"one group": (), "any": (), "9 groups": ("9",), "25 groups": ("25",)}
DATA = ["--dataset", "waterbirds", "--root", "DATA"]


# The published table.


def asked(row):
    """The arguments of `paper_config` that a row answers."""
    method = {"pretrain": "original"}.get(row["method"], row["method"])
    ratio = {"pretrain": None, "retrain": "0.25"}.get(row["method"], row["forget_ratio"])
    return row["dataset"], row["model"], GROUPS[row["scenario"]], ratio, method, row["reweight"] == "yes"


def test_every_row_is_a_config():
    wrong = []
    for row in hyperparameters():
        config = paper_config(*asked(row))
        numbers = ["epochs", "lr", "momentum", "weight_decay", "warmup_epochs", "forget_epochs", "critic_lr"]
        is_as_said = {
            name: float(row[name]) == getattr(config, name)
            for name in (*numbers, "lambda_mi")
            if row[name] != ""
        }
        is_as_said |= {name: row[name] == getattr(config, name) for name in ("schedule", "optimizer")}
        is_as_said["augment"] = row["train_augmentation"] == str(config.augment)
        batch = config.forget_batch_size if row["method"] == "scrub" else config.batch_size
        is_as_said["batch_size"] = int(row["batch_size"]) == batch
        expected = gru.METHODS[row["method"]][1] if row["method"] in gru.METHODS else gru.TrainConfig
        is_as_said["type"] = type(config) is expected
        wrong += [
            f"{list(row.values())[:6]}: {name} of {config}" for name, said in is_as_said.items() if not said
        ]
    assert not wrong, "\n".join(wrong)


def test_the_table_is_whole():
    rows = hyperparameters()
    assert len(rows) == len(set(map(asked, rows))) == 108
    counts = {"celeba": 27, "fairface": 43, "multinli": 11, "waterbirds": 27}
    assert Counter(row["dataset"] for row in rows) == counts


def test_rows_read_by_hand():
    """Copied from the table by eye."""
    released = {"shift": 0, "lr_changes": "epoch", "ragged": True}
    plain = released | {"warmup_epochs": 0, "epochs": 10, "augment": False}
    half = {"precision": "bfloat16"}
    miu = MIUConfig(
        batch_size=256, lr=0.1, weight_decay=1e-4, schedule="cosine", forget_epochs=5, forget_batch_size=256,
        critic_lr=0.01, lambda_mi=10.0, as_released=True, **plain,
    )  # fmt: skip
    assert paper_config("waterbirds", "resnet18", (), "0.5", "miu", True) == miu
    scrub = SCRUBConfig(
        batch_size=128, forget_batch_size=256, lr=1e-3, weight_decay=5e-4, forget_epochs=7, **plain, **half
    )
    assert paper_config("fairface", "resnet18", ("9",), "0.5", "scrub", False) == scrub
    salun = SalUnConfig(
        batch_size=256, forget_batch_size=256, lr=0.01, weight_decay=1e-3, schedule="const", as_released=True,
        **(plain | {"augment": True}),
    )  # fmt: skip
    assert paper_config("celeba", "resnet18", (), "0.9", "salun", True) == salun
    l1 = L1SparseConfig(batch_size=32, lr=1e-6, weight_decay=0.0, optimizer="adamw", alpha=5e-4, **plain)
    assert paper_config("multinli", "bert", (), "0.5", "l1_sparse", True) == l1
    ceiling = gru.TrainConfig(
        epochs=30,
        batch_size=32,
        lr=0.01,
        weight_decay=1e-3,
        schedule="const",
        warmup_epochs=2,
        **released,
        **half,
    )
    assert paper_config("waterbirds", "resnet18", ("0,1", "1,0"), "0.3", "ceiling", True) == ceiling
    text = paper_config("multinli", "bert", (), "0.5", "miu", True)  # what is released differs for text
    released = {"precision": "float32", "loss_precision": "float32", "original_mode": "eval"}
    assert {name: getattr(text, name) for name in MIUConfig.RELEASED} == MIUConfig.RELEASED | released


def test_the_papers_ablations():
    """MIU with its published values, and one part less."""
    recipe = Recipe(published="waterbirds", model="resnet18", preset="paper")
    whole = recipe.config("miu", "0.5", True)
    assert whole == recipe.config("miu:released", "0.5", True)
    parts = {"forgetting": {"forget_epochs": 0}, "calibration": {"lambda_mi": 0.0}, "ce": {"ce_weight": 0.0}}
    for part, changes in parts.items():
        assert recipe.config(f"miu:no_{part}", "0.5", True) == replace(whole, **changes)


def test_a_small_bert_unlearns_as_it_was_trained():
    """AdamW, and learning rates that stand to that of training as the defaults do."""
    recipe = Recipe(benchmark="multinli", model="small_bert")
    training = recipe.config("retrain", "0.5", True)
    assert training == recipe.config("original") == TRAININGS["small_bert"] and training.lr == 3e-3
    for method in gru.METHODS:
        config, usual = recipe.config(method, "0.5", True), gru.METHODS[method][1]()
        assert (config.optimizer, config.weight_decay, config.shift) == ("adamw", 0.1, 0)
        assert config.lr == pytest.approx(usual.lr * 3e-3 / 0.05, rel=0.01)
        assert (config.epochs, config.batch_size) == (usual.epochs, usual.batch_size)
    head = Recipe(benchmark="multinli", model="linear")
    assert head.config("retrain", "0.5") == gru.TrainConfig()
    assert head.config("finetune", "0.5") == gru.METHODS["finetune"][1]()


def test_the_precision_of_scores():
    made = {"published": "waterbirds", "model": "resnet18", "preset": "paper"}
    assert (
        Recipe(**made).scored_in == "bfloat16" and Recipe(**made, precision="float32").scored_in == "float32"
    )
    assert Recipe(**(made | {"preset": "corrected"}), precision="bfloat16").scored_in == "float32"
    assert Recipe(published="multinli", model="bert", preset="paper").scored_in == "float32"
    assert Recipe(benchmark="waterdigits").scored_in == "float32"


def test_what_the_table_lacks():
    def call(what):
        return paper_config(*what)

    wrong = accepted(
        call,
        [
            (
                ("waterbirds", "resnet18", (), "0.3", "miu", True),
                "miu with REWEIGHT for waterbirds: resnet18, one group, ratio 0.3; it has resnet18, "
                r"one group, ratio 0.1; resnet18, one group, ratio 0.5; resnet18, one group, ratio 0.9 \(",
            ),
            (
                ("fairface", "resnet18", ("9",), "0.9", "salun", False),
                "salun for fairface: resnet18, 9 groups, ratio 0.9; it has .*resnet18, 25 groups, ratio 0.5 ",
            ),
            (("celeba", "resnet18", ("0,0", "0,1", "1,1"), "0.5", "miu", True), "3 groups"),
            (("celeba", "vit_b_16", (), None, "original", False), "pretrain .*vit_b_16"),
            (("multinli", "bert", (), "list", "scrub", True), "ratio list"),
            (("waterbirds", "resnet18", (), "0.5", "eu_k", True), "no such method"),
        ],
    )
    assert not wrong, "\n".join(wrong)


# Ours.


@pytest.mark.parametrize("dataset", [name for name in DATASETS if source(name).published])
def test_the_corrected_preset(dataset):
    model = source(dataset).models[0]
    retrain = corrected_config(dataset, model, "retrain")
    papers = paper_config(dataset, model, (), "0.5", "retrain", True)
    assert retrain == replace(papers, precision="float32", lr_changes="step", ragged=False)
    configs = {method: corrected_config(dataset, model, method) for method in gru.METHODS}
    retaining = {(c.epochs, c.batch_size) for method, c in configs.items() if retains(method)}
    assert retaining == {(10, 128)}  # so that all make the same number of steps on R
    for method in ("miu", "salun"):
        corrected = configs[method].CORRECTED
        assert {name: getattr(configs[method], name) for name in corrected} == corrected
    optimizer = "adamw" if dataset == "multinli" else "sgd"
    for config in configs.values():
        assert (config.shift, config.warmup_epochs, config.optimizer) == (0, 0, optimizer)
    # the defaults train at 0.05 and run SCRUB at 0.01
    training = corrected_config(dataset, model, "original").lr
    assert configs["scrub"].lr == pytest.approx(training / 5) and configs["miu"].lr == pytest.approx(training)


def test_a_model_that_the_paper_does_not_train():
    resnet, vit = (corrected_config("fairface", model, "original") for model in ("resnet18", "vit_b_16"))
    assert resnet.lr == 0.1 and vit == replace(resnet, lr=0.01)


# Flags.


def test_bad_flags(refused, monkeypatch):
    def load(*_, **__):
        raise AssertionError("something is read before the flags are right")

    monkeypatch.setattr(plan, "load", load)
    waterbirds, multinli = "run --dataset waterbirds --root DATA", "run --dataset multinli --root DATA"
    refused(
        [
            ("run --dataset waterbird --root x", "unknown data set 'waterbird': did you mean 'waterbirds'?"),
            ("run --dataset waterbirds", "--dataset waterbirds needs --root DIR"),
            (f"{waterbirds} --benchmark waterdigits", "name the data once"),
            *(
                (f"run --benchmark waterdigits --{name} {value}", f"--{name} has no meaning for a benchmark")
                for name, value in (
                    ("root", "x"),
                    ("preset", "paper"),
                    ("model", "resnet18"),
                    ("weights", "none"),
                )
            ),
            (f"{waterbirds} --target Attractive", "--target is for celeba or a --table"),
            ("run --benchmark waterdigits --target x", "--target is for celeba or a --table"),
            (f"{waterbirds} --sensitive sex", "--sensitive is for adult or a --table"),
            ("run --dataset adult --sensitive race", "unknown --sensitive 'race': did you mean 'sex_race'?"),
            ("run --dataset adult --preset paper", "nothing is published for adult"),
            ("run --dataset adult --preset papers", "did you mean 'paper'"),
            ("run --dataset adult --model mlp", "--model has no meaning for a benchmark or records"),
            ("run --dataset adult --image-size 16", "--image-size is for images on a disk"),
            ("run --table t.csv --target y", "--table needs --sensitive COLUMN"),
            ("run --table t.csv --target y --sensitive s", "--table needs --groups TARGET,SENSITIVE"),
            (
                "tune --dataset waterbirds --root DATA --methods miu",
                "of the data sets only adult can be tuned",
            ),
            (
                "run --dataset celeba --root x --target attractive",
                "unknown --target 'attractive': did you mean 'Attractive'?",
            ),
            (f"{waterbirds} --preset papers", "did you mean 'paper'"),
            (f"{waterbirds} --model bert", "--model 'bert'"),
            (f"{multinli} --model resnet18", "--model 'resnet18': choose from bert"),
            (f"{waterbirds} --weights timm", "--weights 'timm'"),
            (f"{waterbirds} --image-size 4", "--image-size 4"),
            (f"{waterbirds} --image-size 64 --model vit_b_16", "vit_b_16 takes only 224"),
            (f"{multinli} --image-size 64", "--image-size is for images"),
            (f"{multinli} --model mpl", "did you mean 'mlp'"),
            (f"{multinli} --model mlp --weights none", "--weights has no meaning for mlp on multinli"),
            (f"{multinli} --model small_bert --image-size 8", "--image-size has no meaning for small_bert"),
            (f"{multinli} --model linear --preset paper", "--preset paper trains bert: leave out --preset"),
            (f"{multinli} --model linear --methods all", "eu_k changes the features of a model, and linear"),
            (f"{waterbirds} --preset paper --configs x.json", "leave out --configs"),
            (f"{waterbirds} --preset paper --reweight top_up", "leave out --reweight"),
            (
                f"{waterbirds} --preset paper --ratio 0.3 --methods miu",
                "it has resnet18, one group, ratio 0.1",
            ),
            (
                f"{waterbirds} --preset paper --model vit_b_16",
                "no values of pretrain for waterbirds: vit_b_16",
            ),
        ]
    )


def test_what_is_asked_by_default(tmp_path):
    made = gru.RunOptions(dataset="celeba", root=tmp_path, methods=("all",))
    chosen = (made.target, made.preset, made.model, made.weights)
    assert chosen == ("Blond_Hair", "corrected", "resnet18", "imagenet")
    assert made.methods == tuple(gru.METHODS) and replace(made, seeds=1).target == "Blond_Hair"
    made = gru.RunOptions(dataset="multinli", root=tmp_path, preset="paper", methods=("finetune", "all"))
    assert (made.target, made.model) == (None, "bert")
    assert made.methods == ("finetune", "l1_sparse", "miu", "salun", "scrub")
    assert gru.RunOptions(benchmark="waterdigits").preset is None
    compiled = plan._recipe(gru.RunOptions(benchmark="waterdigits", compile=True)).config("original")
    assert compiled == gru.TrainConfig(compile=True)
    for name, model in (("inkdigits", "small_resnet"), ("inkdigits_edges", "mlp")):
        many = gru.RunOptions(benchmark=name, groups=("0,0", "1,2"))
        assert plan._recipe(many).model == model and many.is_of_records == (model == "mlp")
    manifest = gru.RunOptions(manifest=tmp_path / "mine.csv", groups=("1,0",), model="vit_b_16")
    assert manifest.weights == "imagenet" and plan._recipe(manifest).published == "waterbirds"


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

    monkeypatch.setattr(plan, "load", load)
    monkeypatch.setattr(runs, "build_model", build)
    return calls


def words(out, *more):
    trial = ["--seeds", "1", "--epochs", "1", "--image-size", "32", "--weights", "none", "--jobs", "1"]
    return ["run", *DATA, *trial, "--out", str(out), *more]


def test_a_run(stand_in, bench, tmp_path, capsys, monkeypatch, few_critic_steps):
    out, kept = tmp_path / "out", []

    def fit(*arguments, keep_best, **rest):
        kept.append(len(keep_best))
        return gru.fit(*arguments, keep_best=keep_best, **rest)

    monkeypatch.setattr(runs, "fit", fit)
    assert cli.main(words(out, "--preset", "paper", "--methods", "all", "finetune")) == 0
    said = capsys.readouterr().out
    assert stand_in[0] == ("waterbirds", "DATA", 0, {"image_size": 32})
    assert ("resnet18", 2, 0, "none") in stand_in
    assert kept == [80] * 4  # original, two retrainings and the ceiling
    assert said.startswith("Forgetting 50% of group (1, 0) hole on land (15 train samples), 1 seed")
    lines = said.splitlines()
    for name in ("fine-tune [not in the paper]", "fine-tune + REWEIGHT [not in the paper]"):
        assert sum(line.startswith(name) for line in lines) == 1
    first = next(i for i, line in enumerate(lines) if line.startswith("Ratio 0.5, means: ours, (reported"))
    names = [line.split("  ")[0] for line in lines[first + 2 : first + 5]]
    assert names == ["original (no-op)", "retrain", "retrain + REWEIGHT"] and "(98.9, " in lines[first + 2]
    assert lines[-1] == "Not reported: ceiling (held-out ref.), fine-tune, fine-tune + REWEIGHT."

    recipe = json.loads((out / "recipe.json").read_text())
    expected = {
        "data": "waterbirds",
        "model": "resnet18",
        "preset": "paper",
        "weights": "none",
        "image_size": 32,
    }
    assert expected.items() <= recipe.items()
    config = {
        name: json.loads((out / "runs" / name / "run.json").read_text())["config"]
        for name in ("original-s0", "miu-r0.5-s0", "miu-replacement-r0.5-s0", "finetune-r0.5-s0")
    }
    assert {"augment": True, "epochs": 1, "warmup_epochs": 0}.items() <= config["original-s0"].items()
    miu = paper_config("waterbirds", "resnet18", (), "0.5", "miu", True)
    assert config["miu-replacement-r0.5-s0"] == as_record(replace(miu, epochs=1))
    finetune = corrected_config("waterbirds", "resnet18", "finetune")
    assert config["finetune-r0.5-s0"] == as_record(replace(finetune, epochs=1))

    # the no-op as released: scored in bfloat16, recomputed from the kept model
    original = gru.load_model(out / "runs/original-s0/model.safetensors")
    split = gru.forget_split(bench.train, [(1, 0)], "0.5", 0)
    halves = gru.predictions(original, bench, precision="bfloat16")
    row = json.loads((out / "runs/original-r0.5-s0/run.json").read_text())
    assert row["scores"] == gru.score(halves, bench, split).flat()
    assert not np.array_equal(halves.test, gru.predictions(original, bench).test)

    # the same folder takes no other preset, and no other images
    before = {path: path.read_bytes() for path in out.rglob("*.json")}
    assert cli.main(words(out)) == 2
    said = capsys.readouterr().err
    assert "its lr" not in said and "its preset is paper, yours corrected" in said
    images = bench.val.images.copy()
    images[-1] += 1
    other = replace(bench, name="waterbirds", val=replace(bench.val, images=images))
    monkeypatch.setattr(plan, "load", lambda *_, **__: other)
    assert cli.main(words(out, "--preset", "paper")) == 2
    assert "another recipe: its content is" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*.json")} == before


def test_a_run_of_another_request(stand_in, tmp_path, capsys):
    """Ours takes any; values of --configs replace its own.

    And nothing is compared with what is of another group.
    """
    file = tmp_path / "mine.json"
    file.write_text('{"finetune": {"lr": 0.02}}')
    request = ["--groups", "0,1", "--ratio", "0.3", "--methods", "finetune", "--configs", str(file)]
    assert cli.main(words(tmp_path / "out", *request)) == 0
    why = "the numbers of waterbirds in the paper's first version are of the default group, not others"
    assert capsys.readouterr().out.endswith(f"\nNot reported: {why}.\n")
    config = json.loads((tmp_path / "out/runs/finetune-r0.3-s0/run.json").read_text())["config"]
    assert (config["lr"], config["batch_size"], config["weight_decay"]) == (0.02, 128, 1e-3)


def test_two_groups_have_the_values_of_one(stand_in, tmp_path, capsys):
    request = ["--groups", "0,1", "1,0", "--preset", "paper", "--methods", "scrub"]
    assert cli.main(words(tmp_path / "out", *request)) == 0
    assert capsys.readouterr().out.endswith(
        "\nNot reported: two groups. The paper publishes no hyperparameters for them; "
        "these runs have those of one group.\n"
    )
    config = json.loads((tmp_path / "out/runs/scrub-r0.5-s0/run.json").read_text())["config"]
    published = paper_config("waterbirds", "resnet18", (), "0.5", "scrub", False)
    assert config == as_record(replace(published, epochs=1))


def test_sets_of_groups(tmp_path, monkeypatch, dataset):
    """--groups 9 is the paper's set, of each of which a share is forgotten."""
    data = dataset(np.full((9, 7), 2))
    faces = gru.DatasetParts("fairface", data, data, data, ((3, 0),))
    monkeypatch.setattr(plan, "load", lambda *_, **__: faces)
    options = gru.RunOptions(
        dataset="fairface", root=tmp_path, groups=("9",), preset="paper", methods=("all",), weights="none",
        out=tmp_path / "out",
    )  # fmt: skip
    with plan.planned(options, []) as (made, facts):
        split = made.split(made.data(0), "0.5", 0)
        assert set(split.groups) == {(y, s) for y in (3, 6, 1) for s in (0, 4, 5)} and len(split.forget) == 9
        assert made.config(Run("miu", "none", "0.5", 0)).critic_lr == 0.1
        assert facts.request == "each of 9 groups"
    with (
        pytest.raises(gru.InputError, match="group '12' is not a pair"),
        plan.planned(replace(options, groups=("12",)), []),
    ):
        pass


# From files in the formats of the downloads to the table.

TINY = {"counts": ((12, 4), (6, 8)), "val_count": 3, "test_count": 4}  # a step an epoch
TRIAL = ["--epochs", "1", "--seeds", "1", "--jobs", "1"]


def tiny_bert(n_classes, **_):
    """BERT with one of its twelve layers, and narrow."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=100, hidden_size=48, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64
    )
    return models._Bert(transformers.BertModel(config)), torch.nn.Linear(48, n_classes)


NOT_REPORTED = (
    "Not reported: the numbers of celeba in the paper's first version are of target Attractive, not"
)
FROM_FILES = {  # what writes the files; {flags: what is said at the end}
    "waterbirds": (
        lambda root: write_example_tree(root, **TINY),
        {"--image-size 16 --methods all": "Ratio 0.5, means: ours"},
    ),
    "celeba": (
        lambda root: trees.write_celeba(root, 96),
        {
            "--image-size 16 --preset paper --methods scrub miu": f"{NOT_REPORTED} Blond_Hair.",
            "--image-size 16 --target Attractive --methods eu_k": "Ratio 0.5, means: ours",
        },
    ),
    "fairface": (
        lambda root: trees.write_fairface(root, 800, 100),
        {"--image-size 16 --preset paper --methods scrub": "Ratio 0.5, means: ours"},
    ),
    "multinli": (
        lambda root: trees.write_multinli(root, (120, 30, 30)),
        {
            "--preset paper --methods l1_sparse scrub": "first version has no numbers of multinli.",
            "--model small_bert --methods miu": "has no numbers of multinli.",
            "--model mlp --methods all": "has no numbers of multinli.",
            "--model linear --methods finetune scrub": "has no numbers of multinli.",
        },
    ),
    "adult": (
        lambda root: trees.write_adult(root, 400, 200),
        {
            "--methods all": "the paper's first version has no numbers of adult.",
            "--sensitive sex_race --groups 1,9 --methods eu_k": "has no numbers of adult.",
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASETS)
def test_from_files_to_the_table(name, tmp_path, capsys, monkeypatch, few_critic_steps):
    """The real loaders and schedules; of the models one is real, and the others small."""
    monkeypatch.setitem(models.ARCHITECTURES, "bert", tiny_bert)
    if name != "waterbirds":
        monkeypatch.setitem(models.ARCHITECTURES, "resnet18", lambda n, weights: models._small_resnet(n))
    write, commands = FROM_FILES[name]
    write(tmp_path)
    if name == "multinli":
        encoder = trees.write_encoder(tmp_path)
        monkeypatch.setattr(module_of(name), "encoder", lambda: encoder)
    for number, (more, said) in enumerate(commands.items()):
        out = tmp_path / f"out{number}"
        scratch = [] if source(name).is_of_records or "--model" in more else ["--weights", "none"]
        words = ["--dataset", name, "--root", str(tmp_path), *TRIAL, *scratch, *more.split()]
        words += ["--out", str(out)]
        assert cli.main(["run", *words]) == 0
        output = capsys.readouterr()
        assert said in output.out and output.out.startswith("Forgetting 50% of group ")
        assert ("A trial run (--epochs 1, " in output.out) == said.startswith("Ratio")
        table = pd.read_csv(out / "table.csv")
        assert (table["status"] == "ok").all()
        assert table[[*GAP_METRICS, "avg_gap"]].notna().all(axis=None)
        # all of it is there: nothing is computed again
        with monkeypatch.context() as patch:
            patch.setattr(runs, "execute_run", lambda *_: pytest.fail("computed twice"))
            assert cli.main(["run", *words]) == 0
            assert capsys.readouterr().out == output.out


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    """SIGKILL while pictures are prepared, models trained and unlearnt.

    In the end the same bytes as without.
    """
    folders = whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in folders:
        folder.mkdir()
        write_example_tree(folder, **TINY)

    def begin(folder, jobs="1"):
        words = [
            "run",
            "--dataset",
            "waterbirds",
            "--root",
            folder,
            "--image-size",
            "16",
            *TRIAL,
            "--weights",
            "none",
            "--jobs",
            jobs,
        ]
        words += ["--epochs", "2", "--methods", "finetune", "--save-models", "--out", folder / "out"]
        return start(map(str, words))

    def finish(folder):
        process = begin(folder)
        process.join()
        assert process.exitcode == 0

    finish(whole)
    dice, kills = random.Random(1), 0
    for jobs in ("1", "2", "1"):
        before, process = set(killed.rglob("*")), begin(killed, jobs)
        while process.is_alive() and set(killed.rglob("*")) == before:
            time.sleep(0.01)
        time.sleep(dice.random() / 2)
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.join()
    assert kills
    finish(killed)
    models = [
        {path.relative_to(folder): path for path in folder.rglob("*.safetensors")} for folder in folders
    ]
    assert models[0].keys() == models[1].keys() and len(models[0]) == 6
    assert all(path.read_bytes() == models[1][key].read_bytes() for key, path in models[0].items())
    tables = [pd.read_csv(folder / "out" / "table.csv") for folder in folders]
    pd.testing.assert_frame_equal(*(t.drop(columns=["seconds", "share"]) for t in tables), check_exact=True)
    assert (tables[0]["status"] == "ok").all()


# Which epoch is kept.


def same(first, second):
    states = (model.state_dict().values() for model in (first, second))
    return all(torch.equal(a, b) for a, b in zip(*states))


def test_the_best_epoch_is_kept(model, bench, tmp_path, monkeypatch):
    # with a constant rate a shorter training is a part of a longer one
    config = gru.TrainConfig(epochs=5, warmup_epochs=0, schedule="const", lr=0.1)
    common = {"indices": np.arange(128), "seed": 3}
    models = [gru.fit(model, bench.train, **common, config=replace(config, epochs=n)) for n in range(1, 6)]
    said = [gru.predict(m, bench.val).argmax(1) for m in models]
    best = 2
    judge = replace(bench.val, target=said[best])  # the third model is right everywhere
    # the fourth may be: the first of equal ones is kept
    assert not any(np.array_equal(said[best], other) for other in said[:best])
    common, file = common | {"config": config}, tmp_path / "checkpoint.safetensors"
    assert same(gru.fit(model, bench.train, **common, keep_best=judge), models[best])
    assert same(gru.fit(model, bench.train, **common), models[-1])

    # killed before, at and after the best epoch
    write = fitting.write_checkpoint

    def stopped(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "write_checkpoint", stopped)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                gru.fit(model, bench.train, **common, keep_best=judge, checkpoint=file)
    assert same(gru.fit(model, bench.train, **common, keep_best=judge, checkpoint=file), models[best])
    with pytest.raises(gru.InputError, match="checkpoint of another training"):
        gru.fit(model, bench.train, **common, checkpoint=file)


def test_every_config_is_a_record():
    """A run's record holds all fields of its configuration, as JSON has them."""
    for method in ("original", *gru.METHODS):
        config = Recipe(benchmark="waterdigits").config(method, "0.5")
        record = json.loads(json.dumps(as_record(config)))
        assert type(config)(**record) == config
