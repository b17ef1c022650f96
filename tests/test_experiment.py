"""One experiment from end to end, on a few hundred small images.

The table, and a folder that can be continued.
"""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import gru_lite as gru
from gru_lite import cli, experiment, methods
from gru_lite.methods import FinetuneConfig

TRAINED = {"original-s0", "retrain-r0.5-s0", "retrain-replacement-r0.5-s0", "ceiling-replacement-r0.5-s0"}
LATER = {"original-r0.5-s0", "finetune-r0.5-s0", "finetune-replacement-r0.5-s0"}


@pytest.fixture(scope="module")
def options(manifest):
    return gru.RunOptions(
        manifest=manifest, groups=("1,0",), methods=("finetune",), seeds=1, epochs=1, jobs=1
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    """(folder, table) of one finished run; copy the folder to change it."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return out, gru.run(replace(options, out=out), progress=False)


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "out")
    return tmp_path / "out"


def comparable(table):
    return table.drop(columns=["seconds", "share"])


def same_table(first, second):
    pd.testing.assert_frame_equal(comparable(first), comparable(second), check_exact=True)


def stamps(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/*/run.json")}


def flags(options, out):
    """The command line of `options`."""
    words = [
        "run",
        "--manifest",
        options.manifest,
        "--groups",
        *options.groups,
        "--seeds",
        options.seeds,
        "--epochs",
        options.epochs,
        "--jobs",
        options.jobs,
        "--out",
        out,
    ]
    words += [
        *(["--methods", *options.methods] if options.methods else []),
        *(["--ratio", *options.ratio] if options.ratio else []),
    ]
    return [str(word) for word in words]


def test_the_table(finished):
    out, table = finished
    assert table.columns[:5].tolist() == ["method", "reweight", "sampling", "ratio", "seed"]
    assert {
        "RA",
        "UA",
        "TA",
        "MIA",
        "EO",
        "GA",
        "avg_gap",
        "avg_gap_refs",
        "tow",
        "seconds",
        "share",
        "status",
        "acc_0_0",
        "acc_1_1",
    } <= set(table.columns)
    rows = list(table[["method", "reweight", "sampling"]].itertuples(index=False, name=None))
    assert rows == [
        ("original", False, ""),
        ("retrain", False, ""),
        ("retrain", True, "replacement"),
        ("ceiling", True, "replacement"),
        ("finetune", False, ""),
        ("finetune", True, "replacement"),
    ]
    assert (
        set(table["ratio"]) == {"0.5"}
        and set(table["seed"]) == {0}
        and set(table["n_forget"]) == {15}
        and set(table["status"]) == {"ok"}
    )
    assert table.loc[2, "avg_gap"] == table.loc[2, "tow"] == 100 and (table["avg_gap"].drop(2) < 100).all()
    # with one reference both gaps are the same; the reference itself has nothing else to be measured against
    assert table["avg_gap_refs"].drop(2).tolist() == table["avg_gap"].drop(2).tolist() and np.isnan(
        table.loc[2, "avg_gap_refs"]
    )
    assert table["share"].tolist() == pytest.approx(
        (table["seconds"] / table.loc[2, "seconds"]).tolist(), abs=1e-4
    )
    assert table.loc[0, "seconds"] == 0 and (table.loc[1:3, "seconds"] > 0).all()
    assert set(stamps(out)) == TRAINED | LATER
    read = pd.read_csv(out / "table.csv", dtype={"ratio": str}, keep_default_na=False)
    same_table(read.assign(avg_gap_refs=pd.to_numeric(read["avg_gap_refs"])), table)
    # only originals are kept, and no checkpoint or half-written file stays behind
    assert {path.name for path in out.rglob("*") if path.is_file()} == {
        "recipe.json",
        "table.csv",
        "run.json",
        "model.safetensors",
    }
    assert [path.parent.name for path in out.rglob("*.safetensors")] == ["original-s0"]


def test_the_table_is_what_the_functions_say(finished, options, bench):
    """The same numbers, one by one, from the names that lessons use."""
    _, table = finished
    bench = gru.load_manifest(options.manifest)
    split = gru.forget_split(bench.train, [(1, 0)], 0.5, seed=0)
    config = gru.TrainConfig(epochs=1, warmup_epochs=0)
    start = gru.build_model("small_resnet", 2, seed=0)
    original = gru.fit(start, bench.train, config=config, seed=0)
    reference = gru.fit(
        start, bench.train, indices=split.retain, weights=gru.reweight(split), config=config, seed=0
    )
    tuned = gru.unlearn("finetune", original, bench.train, split, FinetuneConfig(epochs=1), seed=0)
    scores = {
        name: gru.score(model, bench, split)
        for name, model in (("original", original), ("retrain", reference), ("finetune", tuned))
    }
    for row in (0, 2, 5):
        expected = scores[table.loc[row, "method"]]
        assert table.loc[row, ["RA", "UA", "TA", "MIA", "EO", "GA", "acc_1_0"]].tolist() == [
            expected.RA,
            expected.UA,
            expected.TA,
            expected.MIA,
            expected.EO,
            expected.GA,
            expected.group_accuracy[1, 0],
        ]
        assert table.loc[row, "avg_gap"] == gru.average_gap(expected, scores["retrain"])


def test_nothing_is_computed_twice(copied, finished, options):
    before = stamps(copied)
    same_table(gru.run(replace(options, out=copied), progress=False), finished[1])
    assert stamps(copied) == before


def test_a_folder_is_extended(copied, finished, options):
    """By a ratio, a seed and another sampling; what was finished stays as it was."""
    before = stamps(copied)
    more = replace(
        options, out=copied, ratio=("0.5", "0.9"), seeds=2, reweight=("replacement", "top_up"), methods=()
    )
    table = gru.run(more, progress=False)
    assert before.items() <= stamps(copied).items()
    old = table[
        (table["ratio"] == "0.5") & (table["seed"] == 0) & (table["sampling"] != "top_up")
    ].reset_index(drop=True)
    same_table(old, finished[1])
    assert table.groupby(["ratio", "seed"]).size().tolist() == [7, 5, 5, 5]  # the first has finetune, too
    assert table[["ratio", "seed"]].apply(tuple, axis=1).is_monotonic_increasing
    by_itself = gru.run(
        replace(options, out=copied.with_name("other"), ratio=("0.9",), first_seed=1, methods=()),
        progress=False,
    )
    again = table[
        (table["ratio"] == "0.9") & (table["seed"] == 1) & (table["sampling"] != "top_up")
    ].reset_index(drop=True)
    same_table(again, by_itself)


@pytest.mark.parametrize(
    "change, key",
    [
        ({"epochs": 2}, "epochs is 1, yours 2"),
        ({"groups": ("0,1",)}, "groups"),
        ({"missing_group": "renormalise"}, "missing_group"),
        ({"reweight": ("top_up",)}, "reference"),
        ({"precision": "bfloat16"}, "precision is float32, yours bfloat16"),
        ({"image_size": 16}, "image"),
        ({"manifest": None, "benchmark": "waterdigits", "groups": ()}, "recipe"),
    ],
)
def test_another_recipe_is_refused(change, key, finished, options):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(gru.InputError, match=f"out belongs to another recipe.*{key}|{key}: its"):
        gru.run(replace(options, out=out, **change), progress=False)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_other_images_are_another_recipe(options, finished, tmp_path):
    moved = shutil.copytree(options.manifest.parent, tmp_path / "images")
    assert (
        len(gru.run(replace(options, manifest=moved / "tiny.csv", out=finished[0]), progress=False)) == 6
    )  # the place does not matter
    shutil.copy(moved / "train1.png", moved / "train0.png")
    # the same process has read the images before, and must see that they changed
    with pytest.raises(gru.InputError, match="another recipe: its images"):
        gru.run(replace(options, manifest=moved / "tiny.csv", out=finished[0]), progress=False)


def test_a_list_of_samples(options, tmp_path, bench):
    chosen = np.flatnonzero(bench.train.group == 2)[:4]
    (tmp_path / "list.txt").write_text("".join(f" train{i}.png\n\n" for i in chosen))
    asked = gru.RunOptions(
        manifest=options.manifest,
        seeds=1,
        epochs=1,
        jobs=1,
        forget=tmp_path / "list.txt",
        out=tmp_path / "out",
    )
    table = gru.run(asked, progress=False)
    assert len(table) == 4 and set(table["ratio"]) == {"list"} and set(table["n_forget"]) == {4}
    assert "the listed samples (4 train samples)" in gru.summary(table)
    same_table(gru.run(asked, progress=False), table)
    (tmp_path / "list.txt").write_text(f"train{chosen[0]}.png\n")
    with pytest.raises(gru.InputError, match="another recipe: its forget"):
        gru.run(asked, progress=False)


def test_a_whole_group_renormalised(options, tmp_path):
    table = gru.run(
        replace(options, ratio=("1.0",), missing_group="renormalise", out=tmp_path / "out", methods=()),
        progress=False,
    )
    assert set(table["status"]) == {"ok"} and set(table["n_forget"]) == {30} and set(table["ratio"]) == {"1"}


def test_models_are_kept_on_request(copied, options, bench):
    gru.run(replace(options, out=copied, save_models=True), progress=False)
    kept = {path.parent.name for path in copied.rglob("model.safetensors")}
    assert kept == (TRAINED | LATER) - {"original-r0.5-s0"}  # the no-op is the original
    assert gru.predict(
        gru.load_model(copied / "runs/finetune-r0.5-s0/model.safetensors"), bench.val
    ).shape == (80, 2)


def broken(*arguments, **options):
    model = gru.build_model("small_resnet", 2)
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    model.training_seconds = 1.0
    return model.eval()


def gap(row, references):
    """Avg. Gap of a row to the mean of the scores of other rows."""
    names = ["RA", "UA", "TA", "MIA", "EO", "GA"]
    return 100 - (row[names] - references[names].mean()).abs().mean()


def test_several_references(copied, finished, options, bench):
    asked = replace(options, out=copied, references=3)
    table = gru.run(asked, progress=False)
    assert table["method"].tolist() == [
        "original",
        "retrain",
        "retrain",
        "reference_2",
        "reference_3",
        "ceiling",
        "finetune",
        "finetune",
    ]
    old = table[~table["method"].str.startswith("reference_")].reset_index(drop=True)
    same_table(old.drop(columns="avg_gap_refs"), finished[1].drop(columns="avg_gap_refs"))
    references = table.loc[[2, 3, 4]]
    for i in (
        0,
        1,
        5,
        6,
        7,
    ):  # the ceiling is held out of the yardstick, so that it faces the same as every method
        assert table.loc[i, "avg_gap_refs"] == pytest.approx(gap(table.loc[i], references))
    for i in references.index:  # a reference is measured against the others
        assert table.loc[i, "avg_gap_refs"] == pytest.approx(gap(table.loc[i], references.drop(i)))
    # the third is what the name says: another training of the same start
    data = gru.load_manifest(options.manifest)
    split = gru.forget_split(data.train, [(1, 0)], 0.5, seed=0)
    model = gru.fit(
        gru.build_model("small_resnet", 2, seed=0),
        data.train,
        indices=split.retain,
        weights=gru.reweight(split),
        config=gru.TrainConfig(epochs=1, warmup_epochs=0),
        seed=3 << 32,
    )
    assert gru.score(model, data, split).flat()["TA"] == table.loc[4, "TA"]

    lines = gru.summary(table).splitlines()
    assert "to 3 refs" in lines[1] and not any(line.startswith("reference_") for line in lines)
    spread = references.std(ddof=1, numeric_only=True)
    worst = max(spread[f"acc_{y}_{s}"] for y in range(2) for s in range(2))
    assert (
        f"Spread of the 3 references (standard deviation within a seed): RA {spread['RA']:.1f}, UA {spread['UA']:.1f}, "
        f"TA {spread['TA']:.1f}, MIA {spread['MIA']:.1f}, EO {spread['EO']:.1f}, GA {spread['GA']:.1f}; "
        f"a group's accuracy up to {worst:.1f}."
    ) in lines
    # whoever asks for fewer still sees what the gaps were measured against
    assert experiment.requested(table, options)["method"].tolist() == table["method"].tolist()


def test_a_method_without_a_retain_pass_has_one_row(copied, options):
    table = gru.run(replace(options, out=copied, methods=("gradient_ascent",)), progress=False)
    assert table.loc[table["method"] == "gradient_ascent", "sampling"].tolist() == [""]


def test_configs(options, copied, tmp_path):
    """Values of a file replace the defaults.

    --epochs still limits them; and a folder holds one configuration.
    """
    file = tmp_path / "mine.json"
    file.write_text('{"finetune": {"lr": 0.01, "shift": 0}}')
    asked = replace(options, out=tmp_path / "new", configs=file)
    gru.run(asked, progress=False)
    config = json.loads((tmp_path / "new/runs/finetune-r0.5-s0/run.json").read_text())["config"]
    assert (config["lr"], config["shift"], config["epochs"], config["momentum"]) == (0.01, 0, 1, 0.9)
    with pytest.raises(gru.InputError, match="another configuration of finetune"):
        gru.run(replace(asked, out=copied), progress=False)


def test_the_last_good_model_is_kept(options, copied, trained, bench, monkeypatch):
    def diverges(*_, **__):
        raise gru.DivergedError("diverged in epoch 2", trained)

    monkeypatch.setitem(methods.METHODS, "salun", (diverges, methods.METHODS["salun"][1]))
    table = gru.run(replace(options, out=copied, methods=("salun",)), progress=False)
    assert set(table.loc[table["method"] == "salun", "status"]) == {"diverged: diverged in epoch 2"}
    kept = gru.load_model(copied / "runs" / "salun-r0.5-s0" / "last_good.safetensors")
    np.testing.assert_array_equal(gru.predict(kept, bench.val), gru.predict(trained, bench.val))


def test_a_method_that_diverges_is_a_marked_row(options, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(methods.METHODS, "finetune", (broken, methods.FinetuneConfig))
    assert cli.main(flags(options, tmp_path / "out")) == 1
    said = capsys.readouterr()
    assert (
        "finetune [1 diverged]" in said.out
        and said.err.count("finetune of ratio 0.5, seed 0 diverged: the model's outputs are not finite") == 2
    )
    table = pd.read_csv(tmp_path / "out" / "table.csv", dtype={"ratio": str}, keep_default_na=False)
    assert table["status"].str.startswith("diverged: ").tolist() == [False] * 4 + [True] * 2
    assert (table.loc[4:, ["RA", "EO", "avg_gap"]] == "").all(axis=None)
    before = stamps(tmp_path / "out")
    assert cli.main(flags(options, tmp_path / "out")) == 1  # the reason stays, and is not trained again
    assert stamps(tmp_path / "out") == before


def test_an_original_that_diverges_takes_its_methods_along(options, tmp_path, monkeypatch):
    def fit(model, data, indices=None, **rest):
        if indices is None:
            raise gru.DivergedError("training diverged")
        return gru.fit(model, data, indices=indices, **rest)

    monkeypatch.setattr(experiment, "fit", fit)
    table = gru.run(replace(options, out=tmp_path / "out"), progress=False)
    ok = table["status"] == "ok"
    assert set(table.loc[ok, "method"]) == {"retrain", "ceiling"} and set(table.loc[~ok, "method"]) == {
        "original",
        "finetune",
    }
    assert set(table.loc[~ok, "status"]) == {"diverged: training diverged"}
    assert "original (no-op) [1 diverged]" in gru.summary(table)


def test_references_that_diverge(options, tmp_path, monkeypatch):
    """Of two seeds one has no reference: its rows have no gap, and the summary averages over the other."""

    def fit(model, data, weights=None, seed=0, **rest):
        if weights is not None and seed == 1:
            raise gru.DivergedError("training diverged")
        return gru.fit(model, data, weights=weights, seed=seed, **rest)

    monkeypatch.setattr(experiment, "fit", fit)
    table = gru.run(replace(options, out=tmp_path / "out", seeds=2, methods=()), progress=False)
    original = table[table["method"] == "original"]
    assert original["avg_gap"].isna().tolist() == [False, True]
    line = next(line for line in gru.summary(table).splitlines() if line.startswith("original"))
    assert "nan" not in line and f"{original['avg_gap'].iloc[0]:.1f}" in line


def test_everything_diverges(options, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        experiment, "_config_of", lambda *_: gru.TrainConfig(epochs=1, warmup_epochs=0, lr=1e10)
    )
    assert cli.main(flags(replace(options, methods=()), tmp_path / "out")) == 1
    assert capsys.readouterr().out.count("[1 diverged]") == 4


@pytest.mark.parametrize(
    "name, content",
    [
        ("runs/retrain-r0.5-s0/run.json", b'{"method": "retr'),
        ("runs/retrain-r0.5-s0/run.json", b""),
        ("runs/retrain-r0.5-s0/run.json", b"{}"),
        ("runs/retrain-r0.5-s0/run.json", b"\xff"),
        ("runs/retrain-r0.5-s0/run.json", None),
        ("runs/original-r0.5-s0/run.json", b"null"),
        ("recipe.json", b"[1"),
        ("recipe.json", b"{}"),
    ],
)
def test_damaged_records(name, content, copied, options, finished, capsys):
    # None: a record that is whole, but of another version
    (copied / name).write_bytes(
        content if content is not None else (copied / name).read_bytes().replace(b'"GA"', b'"GB"')
    )
    assert cli.main(flags(options, copied)) == 2
    said = capsys.readouterr().err
    cure = "use another --out" if name == "recipe.json" else "delete it"
    assert said.count("\n") == 1 and f"{copied / name} is damaged: {cure}" in said
    if name != "recipe.json":  # and that is true
        (copied / name).unlink()
        assert cli.main(flags(options, copied)) == 0
        same_table(experiment.make_table(copied), finished[1])


@pytest.mark.parametrize(
    "file, rerun",
    [
        ("runs/original-s0/model.safetensors", "finetune-r0.5-s0"),
        ("runs/retrain-r0.5-s0/checkpoint.safetensors", "retrain-r0.5-s0"),
    ],
)
def test_truncated_tensors(file, rerun, copied, options, finished, capsys):
    (copied / "runs" / rerun / "run.json").unlink()
    whole = (finished[0] / "runs/original-s0/model.safetensors").read_bytes()
    (copied / file).write_bytes(whole[:5000])
    assert cli.main(flags(options, copied)) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.splitlines()[-1] == (
        f"gru-lite: error: {copied / file} is truncated or not a safetensors file: delete it, "
        "and what it held is made again"
    )
    (copied / file).unlink()
    assert cli.main(flags(options, copied)) == 0
    same_table(experiment.make_table(copied), finished[1])


def test_a_kill_before_the_first_record(options, finished, tmp_path):
    """A folder with nothing but a half-written recipe is still ours."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".recipe.json.123").write_text('{"gru')
    same_table(gru.run(replace(options, out=tmp_path / "out"), progress=False), finished[1])


def test_summary(finished):
    text = gru.summary(finished[1])
    lines = text.splitlines()
    assert lines[0] == "Forgetting 50% of group (1, 0) 1 on 0 (15 train samples), 1 seed, percent:"
    assert [line[:25].strip() for line in lines[2:8]] == [
        "original (no-op)",
        "retrain",
        "retrain + REWEIGHT",
        "ceiling (held-out ref.)",
        "finetune",
        "finetune + REWEIGHT",
    ]
    assert "reference" in lines[4] and "n/a" in lines[2]  # one seed has no interval
    ga = finished[1].set_index(["method", "sampling"])["GA"]
    assert lines[8].endswith(f"(GA) by {ga['retrain', ''] - ga['original', '']:+.1f} points.")
    assert lines[9] == f"REWEIGHT gives back {ga['retrain', 'replacement'] - ga['retrain', '']:+.1f} points."


def test_summary_over_seeds(finished):
    """Three seeds, two points apart: mean and Student half width, 4.30265 * 2 / sqrt(3) = 4.97."""
    seeds = [finished[1].assign(seed=s, GA=50.0 + 2 * s, RA=80.0, ratio="0.125") for s in range(3)]
    text = gru.summary(pd.concat(seeds))
    assert (
        "Forgetting 12.5% of" in text
        and "(15 train samples), 3 seeds" in text
        and "52.0±5.0" in text
        and "80.0±0.0" in text
    )


def test_what_was_asked_of_a_folder_that_holds_more(finished, options):
    table = finished[1]
    assert experiment.requested(table, options)["method"].tolist() == table["method"].tolist()
    assert set(experiment.requested(table, replace(options, methods=()))["method"]) == {
        "original",
        "retrain",
        "ceiling",
    }
    assert experiment.requested(table, replace(options, ratio=("0.9",))).empty
    assert experiment.requested(table, replace(options, first_seed=1)).empty


def test_a_kill_while_scoring_loses_no_training(copied, options, monkeypatch):
    """The checkpoint of a finished training stays until its scores are written."""
    shutil.rmtree(copied / "runs" / "retrain-r0.5-s0")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(experiment, "score", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        gru.run(replace(options, out=copied), progress=False)
    file = copied / "runs" / "retrain-r0.5-s0" / "checkpoint.safetensors"
    assert file.is_file()
    gru.run(replace(options, out=copied), progress=False)
    assert not file.exists()


def test_a_record_replaces_records_only(copied, options, tmp_path):
    for file in (tmp_path, tmp_path / "none" / "new.csv", options.manifest):
        with pytest.raises(gru.InputError, match=f"--record {file}"):
            gru.run(replace(options, out=copied, record=file), progress=False)


def test_record(finished, tmp_path):
    experiment.record(finished[1], tmp_path / "new" / "table.csv", "gru-lite run --seeds 1")
    text = (tmp_path / "new" / "table.csv").read_text()
    about = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    assert about["command"] == "gru-lite run --seeds 1" and about["seeds"] == "0 to 0"
    assert {"commit", "versions", "device"} <= set(about) and f"torch={torch.__version__}" in about[
        "versions"
    ]
    read = pd.read_csv(tmp_path / "new" / "table.csv", comment="#", dtype={"ratio": str}).fillna(
        {"sampling": ""}
    )
    pd.testing.assert_frame_equal(read, finished[1])
    with pytest.raises(gru.InputError, match="no recorded table 'none'"):
        gru.read_record("none")


@pytest.mark.slow
def test_two_jobs_give_the_same_table(options, finished, tmp_path):
    two = gru.run(replace(options, out=tmp_path / "out", jobs=2), progress=False)
    same_table(two, finished[1])
