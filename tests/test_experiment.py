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
from commands import words_of
from refusals import accepted

import gru_lite as gru
from gru_lite import cli
from gru_lite.experiment import plan, runs, store
from gru_lite.experiment.store import read_csv
from gru_lite.experiment.table import Results, make_table
from gru_lite.methods.finetune import FinetuneConfig
from gru_lite.recipes.configs import Recipe

TRAINED = {"original-s0", "retrain-r0.5-s0", "retrain-replacement-r0.5-s0", "ceiling-replacement-r0.5-s0"}
LATER = {"original-r0.5-s0", "finetune-r0.5-s0", "finetune-replacement-r0.5-s0"}
METRICS = ["RA", "UA", "TA", "MIA", "EO", "GA"]


@pytest.fixture(scope="module")
def options(manifest):
    return gru.RunOptions(
        manifest=manifest, groups=("1,0",), methods=("finetune",), seeds=1, epochs=1, jobs=1
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    """(folder, table) of one finished run; copy the folder to change it."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return out, table_of(replace(options, out=out))


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "out")
    return tmp_path / "out"


def table_of(options):
    return gru.run(options, progress=False).table


def same_table(first, second):
    first, second = (table.drop(columns=["seconds", "share"]) for table in (first, second))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def stamps(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/*/run.json")}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stopped(*_, **__):
    raise KeyboardInterrupt


def test_the_table(finished):
    out, table = finished
    assert table.columns[:5].tolist() == ["method", "reweight", "sampling", "ratio", "seed"]
    columns = [*METRICS, "avg_gap", "avg_gap_refs", "tow", "seconds", "share", "status", "acc_0_0", "acc_1_1"]
    assert {*columns} <= set(table.columns)
    rows = list(table[["method", "reweight", "sampling"]].itertuples(index=False, name=None))
    assert rows == [
        ("original", False, "none"),
        ("retrain", False, "none"),
        ("retrain", True, "replacement"),
        ("ceiling", True, "replacement"),
        ("finetune", False, "none"),
        ("finetune", True, "replacement"),
    ]
    for column, value in (("ratio", "0.5"), ("seed", 0), ("n_forget", 15), ("status", "ok")):
        assert set(table[column]) == {value}
    assert table.loc[2, "avg_gap"] == table.loc[2, "tow"] == 100 and (table["avg_gap"].drop(2) < 100).all()
    # with one reference both gaps are the same; the reference itself has nothing else to be measured against
    assert table["avg_gap_refs"].drop(2).tolist() == table["avg_gap"].drop(2).tolist()
    assert np.isnan(table.loc[2, "avg_gap_refs"])
    shares = (table["seconds"] / table.loc[2, "seconds"]).tolist()
    assert table["share"].tolist() == pytest.approx(shares, abs=1e-4)
    assert table.loc[0, "seconds"] == 0 and (table.loc[1:3, "seconds"] > 0).all()
    assert set(stamps(out)) == TRAINED | LATER
    same_table(read_csv(out / "table.csv"), table)
    # only originals are kept, and no checkpoint or half-written file stays behind
    names = {path.name for path in contents(out)}
    assert names == {"recipe.json", "table.csv", "run.json", "model.safetensors"}
    assert [path.parent.name for path in out.rglob("*.safetensors")] == ["original-s0"]


def test_the_table_is_what_the_functions_say(finished, options):
    """The same numbers, one by one, from the names that lessons use."""
    _, table = finished
    bench = gru.load_manifest(options.manifest)
    split = gru.forget_split(bench.train, [(1, 0)], 0.5, seed=0)
    config = gru.TrainConfig(epochs=1, warmup_epochs=0)
    start = gru.build_model("small_resnet", 2, seed=0)
    original = gru.fit(start, bench.train, config=config, seed=0)
    weighted = {"indices": split.retain, "weights": gru.reweight(split)}
    reference = gru.fit(start, bench.train, **weighted, config=config, seed=0)
    tuned = gru.unlearn("finetune", original, bench.train, split, FinetuneConfig(epochs=1), seed=0)
    scores = {
        name: gru.score(model, bench, split)
        for name, model in (("original", original), ("retrain", reference), ("finetune", tuned))
    }
    for row in (0, 2, 5):
        expected = scores[table.loc[row, "method"]]
        numbers = [*(getattr(expected, metric) for metric in METRICS), expected.group_accuracy[1, 0]]
        assert table.loc[row, [*METRICS, "acc_1_0"]].tolist() == numbers
        assert table.loc[row, "avg_gap"] == gru.average_gap(expected, scores["retrain"])


def test_nothing_is_computed_twice(copied, finished, options):
    before = stamps(copied)
    same_table(table_of(replace(options, out=copied)), finished[1])
    assert stamps(copied) == before


def test_the_data_is_let_go(copied, options):
    """A GPU has its memory back, and the next call reads anew; after a refusal, too."""
    gru.run(replace(options, out=copied), progress=False)
    assert not plan._loaded
    with pytest.raises(gru.InputError, match="epochs is 1, yours 2"):
        gru.run(replace(options, out=copied, epochs=2), progress=False)
    assert not plan._loaded


def test_a_folder_is_extended(copied, finished, options):
    """By a ratio, a seed and another sampling; what was finished stays as it was."""
    before, both = stamps(copied), ("replacement", "top_up")
    more = replace(options, out=copied, ratio=("0.5", "0.9"), seeds=2, reweight=both, methods=())
    table = table_of(more)
    assert before.items() <= stamps(copied).items()

    def part(ratio, seed):
        mine = (table["ratio"] == ratio) & (table["seed"] == seed) & (table["sampling"] != "top_up")
        return table[mine].reset_index(drop=True)

    same_table(part("0.5", 0), finished[1])
    assert table.groupby(["ratio", "seed"]).size().tolist() == [7, 5, 5, 5]  # the first has finetune, too
    assert table[["ratio", "seed"]].apply(tuple, axis=1).is_monotonic_increasing
    alone = replace(options, out=copied.with_name("other"), ratio=("0.9",), first_seed=1, methods=())
    same_table(part("0.9", 1), table_of(alone))


def test_another_recipe_is_refused(finished, options):
    def run(change):
        gru.run(replace(options, out=finished[0], **change), progress=False)

    before = contents(finished[0])
    wrong = accepted(
        run,
        [
            ({"epochs": 2}, "out belongs to another recipe: its epochs is 1, yours 2"),
            ({"groups": ("0,1",)}, "its groups is"),
            ({"missing_group": "renormalise"}, "its missing_group is error, yours renormalise"),
            ({"reweight": ("top_up",)}, "its reference is replacement, yours top_up"),
            ({"precision": "bfloat16"}, "its precision is float32, yours bfloat16"),
            ({"image_size": 16}, "another recipe: its image"),
            ({"model": "resnet18", "weights": "none"}, "its model is small_resnet, yours resnet18"),
            (
                {"manifest": None, "benchmark": "waterdigits", "groups": ()},
                "another recipe: its data is tiny",
            ),
        ],
    )
    assert not wrong, "\n".join(wrong)
    assert contents(finished[0]) == before


def test_other_images_are_another_recipe(options, copied, tmp_path):
    moved = shutil.copytree(options.manifest.parent, tmp_path / "images")
    elsewhere = replace(options, manifest=moved / "tiny.csv", out=copied)
    assert len(table_of(elsewhere)) == 6  # the place does not matter
    shutil.copy(moved / "train1.png", moved / "train0.png")
    # the same process has read the images before, and must see that they changed
    with pytest.raises(gru.InputError, match="another recipe: its images"):
        gru.run(elsewhere, progress=False)


def test_a_list_of_samples(options, tmp_path, bench):
    chosen, file = np.flatnonzero(bench.train.group == 2)[:4], tmp_path / "list.txt"
    file.write_text("".join(f" train{i}.png\n\n" for i in chosen))
    asked = replace(options, groups=(), ratio=(), methods=(), forget=file, out=tmp_path / "out")
    results = gru.run(asked, progress=False)
    table = results.table
    assert len(table) == 4 and set(table["ratio"]) == {"list"} and set(table["n_forget"]) == {4}
    assert "the listed samples (4 train samples)" in gru.summary(results)
    same_table(table_of(asked), table)
    file.write_text(f"train{chosen[0]}.png\n")
    with pytest.raises(gru.InputError, match="another recipe: its forget"):
        gru.run(asked, progress=False)


def test_a_whole_group_renormalised(options, tmp_path):
    asked = replace(options, ratio=("1.0",), missing_group="renormalise", out=tmp_path / "out", methods=())
    table = table_of(asked)
    assert set(table["status"]) == {"ok"} and set(table["n_forget"]) == {30} and set(table["ratio"]) == {"1"}


def test_models_are_kept_on_request(copied, options, bench):
    gru.run(replace(options, out=copied, save_models=True), progress=False)
    kept = {path.parent.name for path in copied.rglob("model.safetensors")}
    assert kept == (TRAINED | LATER) - {"original-r0.5-s0"}  # the no-op is the original
    model = gru.load_model(copied / "runs/finetune-r0.5-s0/model.safetensors")
    assert gru.predict(model, bench.val).shape == (80, 2)


def test_several_references(copied, finished, options):
    results = gru.run(replace(options, out=copied, references=3), progress=False)
    table, refs = results.table, ["reference_2", "reference_3"]
    names = ["original", "retrain", "retrain", *refs, "ceiling", "finetune", "finetune"]
    assert table["method"].tolist() == names
    old = table[~table["method"].isin(refs)].reset_index(drop=True)
    same_table(old.drop(columns="avg_gap_refs"), finished[1].drop(columns="avg_gap_refs"))

    def gap(row, others):
        return 100 - (row[METRICS] - others[METRICS].mean()).abs().mean()

    references = table.loc[[2, 3, 4]]
    # the ceiling is held out of the yardstick, so that it faces the same as every method
    for i in (0, 1, 5, 6, 7):
        assert table.loc[i, "avg_gap_refs"] == pytest.approx(gap(table.loc[i], references))
    for i in references.index:  # a reference is measured against the others
        assert table.loc[i, "avg_gap_refs"] == pytest.approx(gap(table.loc[i], references.drop(i)))
    # the third is what the name says: another training of the same start
    data = gru.load_manifest(options.manifest)
    split = gru.forget_split(data.train, [(1, 0)], 0.5, seed=0)
    start, config = gru.build_model("small_resnet", 2, seed=0), gru.TrainConfig(epochs=1, warmup_epochs=0)
    weighted = {"indices": split.retain, "weights": gru.reweight(split), "seed": gru.further_seed(0, 3)}
    model = gru.fit(start, data.train, config=config, **weighted)
    assert gru.further_seed(0, 3) == 3 << 32
    assert gru.score(model, data, split).flat()["TA"] == table.loc[4, "TA"]

    lines = gru.summary(results).splitlines()
    assert "to 3 refs" in lines[1] and not any(line.startswith("reference") for line in lines)
    spread = references.std(ddof=1, numeric_only=True)
    worst = max(spread[f"acc_{y}_{s}"] for y in range(2) for s in range(2))
    said = ", ".join(f"{metric} {spread[metric]:.1f}" for metric in METRICS)
    assert (
        f"Spread of the 3 references (standard deviation within a seed): {said}; "
        f"a group's accuracy up to {worst:.1f}."
    ) in lines
    # whoever asks for fewer still sees what the gaps were measured against
    assert results.requested(options).table["method"].tolist() == names


def test_a_method_without_a_retain_pass_has_one_row(copied, options):
    table = table_of(replace(options, out=copied, methods=("gradient_ascent",)))
    assert table.loc[table["method"] == "gradient_ascent", "sampling"].tolist() == ["none"]


def test_configs(options, copied, tmp_path):
    """Values of a file replace the defaults.

    --epochs still limits them; and a folder holds one configuration.
    """
    file = tmp_path / "mine.json"
    file.write_text('{"finetune": {"lr": 0.01, "shift": 0}}')
    asked = replace(options, out=tmp_path / "new", configs=file)
    gru.run(asked, progress=False)
    config = json.loads((asked.out / "runs/finetune-r0.5-s0/run.json").read_text())["config"]
    assert (config["lr"], config["shift"], config["epochs"], config["momentum"]) == (0.01, 0, 1, 0.9)
    with pytest.raises(gru.InputError, match="another configuration of finetune"):
        gru.run(replace(asked, out=copied), progress=False)


def test_variants(options, copied, capsys):
    """A variant has its method's values and its own; --ablate adds it; a table has it after its method."""
    made = replace(options, methods=("miu:released", "miu"), ablate=("calibration", "reweight"))
    assert made.methods == ("miu:released", "miu", "miu:no_calibration")
    recipe = Recipe(values={"miu": {"lr": 0.02, "lambda_mi": 3.0}, "without REWEIGHT": {"miu": {"lr": 0.03}}})
    whole, part, released = (recipe.config(name, "0.5", True) for name in ("miu", *made.methods[::-2]))
    assert part == replace(whole, lambda_mi=0.0) and (whole.lr, whole.lambda_mi) == (0.02, 3.0)
    assert released == replace(whole, **gru.METHODS["miu"][1].RELEASED)
    assert recipe.config("miu:no_calibration", "0.5", False).lr == 0.03
    own = replace(recipe, values=recipe.values | {"miu:no_calibration": {"lr": 0.04}})
    assert own.config("miu:no_calibration", "0.5", True).lr == 0.04
    assert own.config("miu:no_calibration", "0.5", True).lambda_mi == 0.0
    (copied / "few.json").write_text('{"miu": {"first_steps": 3, "later_steps": 2, "epochs": 1}}')
    asked = replace(options, out=copied, configs=copied / "few.json", methods=("miu",), ablate=("ce",))
    table = table_of(asked)
    assert table["method"].tolist()[-4:] == ["miu", "miu", "miu:no_ce", "miu:no_ce"]
    assert {"miu.no_ce-r0.5-s0", "miu.no_ce-replacement-r0.5-s0"} < {
        p.name for p in (copied / "runs").iterdir()
    }
    words = words_of(asked)
    assert cli.main(words) == 0 and "MIU, no ce + REWEIGHT" in capsys.readouterr().out
    cases = [
        ({"methods": ("miu:no_calibratio",)}, "unknown variant of miu .* did you mean 'no_calibration'"),
        ({"methods": ("finetune:released",)}, "finetune has no variants: leave out ':released'"),
        ({"methods": ("mu:released",)}, "did you mean 'miu'"),
        ({"ablate": ("ce",)}, "--ablate ce: no method of --methods has that part; add miu"),
        ({"ablate": ("forgeting",)}, "did you mean 'forgetting'"),
    ]
    assert accepted(lambda changes: replace(options, **changes), cases) == []


def test_curves(options, finished, copied):
    """A row after every epoch; the last has the scores of the table; the table is the same as without."""
    asked = replace(options, out=copied, curves=True, epochs=None)
    before = {path: path.stat().st_mtime_ns for path in copied.glob("runs/*/model.safetensors")}
    same_table(table_of(replace(asked, epochs=1)), finished[1])
    curves = read_csv(copied / "curves.csv")
    assert {path: path.stat().st_mtime_ns for path in before} == before  # no original is trained again
    keys = ["method", "sampling", "seed"]
    assert set(map(tuple, curves[keys].to_numpy())) == {
        ("finetune", "none", 0), ("finetune", "replacement", 0), ("retrain", "none", 0),
        ("retrain", "replacement", 0), ("ceiling", "replacement", 0),
    }  # fmt: skip
    last = curves.groupby(keys).last()
    table = finished[1].set_index(keys).loc[last.index]
    names = ["RA", "UA", "TA", "EO", "GA"]
    pd.testing.assert_frame_equal(last[names], table[names], check_exact=True)
    few = replace(asked, epochs=3, out=copied.parent / "three", methods=("miu",), configs=copied / "few.json")
    few.configs.write_text('{"miu": {"first_steps": 3, "later_steps": 2}}')
    unwatched = replace(few, curves=False, out=copied.parent / "unwatched")
    same_table(table_of(few), table_of(unwatched))
    curves = read_csv(few.out / "curves.csv")
    assert set(curves.groupby(keys)["epoch"].agg(tuple)) == {(1, 2, 3)}
    assert not (unwatched.out / "curves.csv").exists()


def test_reweight_is_not_half_off(trained, bench, split):
    with pytest.raises(gru.InputError, match="reweight=False and sampling='top_up' contradict each other"):
        gru.unlearn("finetune", trained, bench.train, split, reweight=False, sampling="top_up")


# What diverges.


def diverging(monkeypatch, when):
    """Let the trainings of an experiment diverge for which `when(seed, indices, weights)`."""

    def fit(model, data, seed=0, indices=None, weights=None, **rest):
        if when(seed, indices, weights):
            raise gru.DivergedError("training diverged")
        return gru.fit(model, data, seed=seed, indices=indices, weights=weights, **rest)

    monkeypatch.setattr(runs, "fit", fit)


def test_the_last_good_model_is_kept(options, copied, trained, bench, monkeypatch):
    def diverges(*_, **__):
        raise gru.DivergedError("diverged in epoch 2", trained)

    monkeypatch.setitem(gru.METHODS, "salun", (diverges, gru.METHODS["salun"][1]))
    table = table_of(replace(options, out=copied, methods=("salun",)))
    assert set(table.loc[table["method"] == "salun", "status"]) == {"diverged: diverged in epoch 2"}
    kept = gru.load_model(copied / "runs" / "salun-r0.5-s0" / "last_good.safetensors")
    np.testing.assert_array_equal(gru.predict(kept, bench.val), gru.predict(trained, bench.val))


def test_a_method_that_diverges_is_a_marked_row(options, copied, monkeypatch, capsys):
    def broken(*_, **__):
        model = gru.build_model("small_resnet", 2)
        with torch.no_grad():
            model.head.weight.fill_(float("nan"))
        model.training_seconds = 1.0
        return model.eval()

    monkeypatch.setitem(gru.METHODS, "finetune", (broken, FinetuneConfig))
    for folder in copied.glob("runs/finetune-*"):
        shutil.rmtree(folder)
    words = words_of(options, out=copied)
    assert cli.main(words) == 1
    said, line = (
        capsys.readouterr(),
        "finetune of ratio 0.5, seed 0 diverged: the model's outputs are not finite",
    )
    assert "fine-tune [1 diverged]" in said.out and said.err.count(line) == 2
    table = pd.read_csv(copied / "table.csv", dtype={"ratio": str}, keep_default_na=False)
    assert table["status"].str.startswith("diverged: ").tolist() == [False] * 4 + [True] * 2
    assert (table.loc[4:, ["RA", "EO", "avg_gap"]] == "").all(axis=None)
    before = stamps(copied)
    assert cli.main(words) == 1  # the reason stays, and is not trained again
    assert stamps(copied) == before


def test_an_original_that_diverges_takes_its_methods_along(options, tmp_path, monkeypatch):
    diverging(monkeypatch, lambda seed, indices, weights: indices is None)
    results = gru.run(replace(options, out=tmp_path / "out"), progress=False)
    table, ok = results.table, results.table["status"] == "ok"
    assert set(table.loc[ok, "method"]) == {"retrain", "ceiling"}
    assert set(table.loc[~ok, "method"]) == {"original", "finetune"}
    assert set(table.loc[~ok, "status"]) == {"diverged: training diverged"}
    assert "original (no-op) [1 diverged]" in gru.summary(results)


def test_references_that_diverge(options, copied, monkeypatch):
    """Of two seeds one has no reference: its rows have no gap, and the summary averages over the other."""
    diverging(monkeypatch, lambda seed, indices, weights: weights is not None and seed == 1)
    table = table_of(replace(options, out=copied, seeds=2, methods=()))
    original = table[table["method"] == "original"]
    assert original["avg_gap"].isna().tolist() == [False, True]
    line = next(line for line in gru.summary(table).splitlines() if line.startswith("original"))
    assert "nan" not in line and f"{original['avg_gap'].iloc[0]:.1f}" in line


def test_everything_diverges(options, tmp_path, monkeypatch, capsys):
    wild = gru.TrainConfig(epochs=1, warmup_epochs=0, lr=1e10)
    monkeypatch.setattr(Recipe, "config", lambda *_: wild)
    assert cli.main(words_of(options, methods=(), out=tmp_path / "out")) == 1
    assert capsys.readouterr().out.count("[1 diverged]") == 4


# What is damaged or killed.


def test_damaged_records(copied, options, finished, capsys):
    words, retrain = words_of(options, out=copied), "runs/retrain-r0.5-s0/run.json"
    other = (copied / retrain).read_bytes().replace(b'"GA"', b'"GB"')  # whole, but of another version
    damaged = [(retrain, content) for content in (b'{"method": "retr', b"", b"{}", b"\xff", other)]
    damaged += [("runs/original-r0.5-s0/run.json", b"null"), ("recipe.json", b"[1"), ("recipe.json", b"{}")]
    for name, content in damaged:
        file = copied / name
        whole = file.read_bytes()
        file.write_bytes(content)
        assert cli.main(words) == 2, (name, content)
        said = capsys.readouterr().err
        cure = "use another --out" if name == "recipe.json" else "delete it"
        assert said.count("\n") == 1 and f"{file} is damaged: {cure}" in said, (name, content)
        file.write_bytes(whole)
    for name in {name for name, _ in damaged} - {"recipe.json"}:
        (copied / name).unlink()  # that it is a cure is true
    assert cli.main(words) == 0
    same_table(make_table(copied), finished[1])


def test_truncated_tensors(copied, options, finished, capsys):
    words, whole = words_of(options, out=copied), (copied / "runs/original-s0/model.safetensors").read_bytes()
    for file, again in (
        (copied / "runs/original-s0/model.safetensors", "finetune-r0.5-s0"),
        (copied / "runs/retrain-r0.5-s0/checkpoint.safetensors", "retrain-r0.5-s0"),
    ):
        (copied / "runs" / again / "run.json").unlink()
        file.write_bytes(whole[:5000])
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said and said.splitlines()[-1] == (
            f"gru-lite: error: {file} is truncated or not a safetensors file: delete it, and what it held is "
            "made again"
        )
        file.unlink()
        assert cli.main(words) == 0
        same_table(make_table(copied), finished[1])


def test_a_kill_before_the_first_record(options, finished, tmp_path):
    """A folder with nothing but a half-written recipe is still ours."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".recipe.json.123").write_text('{"gru')
    same_table(table_of(replace(options, out=tmp_path / "out", methods=())), finished[1][:4])


def test_a_kill_while_scoring_loses_no_training(copied, options, monkeypatch):
    """The checkpoint of a finished training stays until its scores are written."""
    shutil.rmtree(copied / "runs" / "retrain-r0.5-s0")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "score", stopped)
        gru.run(replace(options, out=copied), progress=False)
    file = copied / "runs" / "retrain-r0.5-s0" / "checkpoint.safetensors"
    assert file.is_file()
    gru.run(replace(options, out=copied), progress=False)
    assert not file.exists()


# What is said of a table, and kept of it.


def test_summary(finished):
    lines = gru.summary(Results(finished[1], plan.Facts("group (1, 0) 1 on 0"))).splitlines()
    assert lines[0] == "Forgetting 50% of group (1, 0) 1 on 0 (15 train samples), 1 seed, percent:"
    assert [line[:25].strip() for line in lines[2:8]] == [
        "original (no-op)", "retrain", "retrain + REWEIGHT", "ceiling (held-out ref.)", "fine-tune",
        "fine-tune + REWEIGHT",
    ]  # fmt: skip
    assert "reference" in lines[4] and "n/a" in lines[2]  # one seed has no interval
    ga = finished[1].set_index(["method", "sampling"])["GA"]
    assert lines[8].endswith(f"(GA) by {ga['retrain', 'none'] - ga['original', 'none']:+.1f} points.")
    gain = ga["retrain", "replacement"] - ga["retrain", "none"]
    assert lines[9] == f"REWEIGHT gives back {gain:+.1f} points."


def test_summary_over_seeds(finished):
    """Three seeds, two points apart: mean and Student half width, 4.30265 * 2 / sqrt(3) = 4.97."""
    seeds = [finished[1].assign(seed=s, GA=50.0 + 2 * s, RA=80.0, ratio="0.125") for s in range(3)]
    text = gru.summary(pd.concat(seeds))
    for said in ("Forgetting 12.5% of", "(15 train samples), 3 seeds", "52.0±5.0", "80.0±0.0"):
        assert said in text


def test_what_was_asked_of_a_folder_that_holds_more(finished, options):
    def asked(**changes):
        return Results(finished[1]).requested(replace(options, **changes)).table["method"].tolist()

    assert asked() == finished[1]["method"].tolist()
    assert set(asked(methods=())) == {"original", "retrain", "ceiling"}
    assert not asked(ratio=("0.9",)) and not asked(first_seed=1)


def test_a_record_replaces_records_only(copied, options, tmp_path):
    for file in (tmp_path, tmp_path / "none" / "new.csv", options.manifest):
        with pytest.raises(gru.InputError, match=f"--record {file}"):
            gru.run(replace(options, out=copied, record=file), progress=False)


def test_record(finished, tmp_path):
    file = tmp_path / "new" / "table.csv"
    store.record(finished[1], file, "gru-lite run --seeds 1")
    lines = [line[2:].split(": ", 1) for line in file.read_text().splitlines() if line.startswith("# ")]
    about = dict(lines)
    assert about["command"] == "gru-lite run --seeds 1" and about["seeds"] == "0 to 0"
    assert {"commit", "versions", "device"} <= set(about) and f"torch={torch.__version__}" in about[
        "versions"
    ]
    pd.testing.assert_frame_equal(read_csv(file), finished[1])
    with pytest.raises(gru.InputError, match="no recorded table 'none'"):
        gru.read_record("none")
