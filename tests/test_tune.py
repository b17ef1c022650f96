"""Tuning: the search space, the choice, and a small tuning from end to end.

It never looks at the test set.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import words_of
from PIL import Image

import gru_lite as gru
from gru_lite import cli
from gru_lite.data.waterdigits import LARGE
from gru_lite.experiment import runs
from gru_lite.experiment.store import read_csv
from gru_lite.experiment.tuning import tuning_summary
from gru_lite.methods.finetune import FinetuneConfig
from gru_lite.recipes import configs

pytestmark = pytest.mark.usefixtures("small_forests")
METRICS = ["RA", "UA", "TA", "MIA", "EO", "GA"]


@pytest.fixture(scope="module")
def options(manifest):
    return gru.TuneOptions(
        manifest=manifest, groups=("1,0",), methods=("finetune",), seeds=1, trials=2, epochs=1, jobs=1
    )


@pytest.fixture(scope="module")
def finished(options, small_forests, tmp_path_factory):
    """(folder, log) of one finished tuning."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    return out, gru.tune(replace(options, out=out), progress=False)


def same_log(first, second):
    pd.testing.assert_frame_equal(
        first.drop(columns="seconds"), second.drop(columns="seconds"), check_exact=True
    )


def stamps(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("runs/*/run.json")}


def test_the_search_space(monkeypatch):
    class Config(gru.TrainConfig):
        SPACE = {
            "lr": ("log", 0.001, 0.1),
            "weight_decay": ("linear", 0.5, 0.6),
            "batch_size": ("log", 8, 128),
            "shift": ("choice", (0, 2)),
        }

    monkeypatch.setitem(gru.METHODS, "mine", (None, Config))
    drawn = [configs.trial_values("mine", trial) for trial in range(60)]
    # the defaults, even outside of the space
    assert drawn[0] == {"lr": 0.05, "weight_decay": 0.005, "batch_size": 64, "shift": 2}
    assert drawn == [configs.trial_values("mine", trial) for trial in range(60)]
    lr, decay, batch, shift = np.array([list(values.values()) for values in drawn[1:]]).T
    assert 0.001 <= lr.min() < 0.002 and 0.05 < lr.max() <= 0.1
    assert 0.2 < np.mean(lr < 0.01) < 0.8  # even in orders of magnitude
    assert 0.5 <= decay.min() < 0.52 and 0.58 < decay.max() <= 0.6
    assert 8 <= batch.min() < 16 and 64 < batch.max() <= 128 and set(shift) == {0, 2}
    for values in drawn:
        assert isinstance(values["batch_size"], int) and json.loads(json.dumps(values)) == values
        assert values["lr"] == float(f"{values['lr']:.1e}")
        configs.make_config("mine", values)
    monkeypatch.setattr(Config, "SPACE", {})
    with pytest.raises(gru.InputError, match="mine has nothing to tune"):
        configs.trial_values("mine", 0)


def test_every_method_has_a_space_of_valid_values():
    for method in (name for name, (_, config) in gru.METHODS.items() if hasattr(config, "SPACE")):
        values = [configs.trial_values(method, trial) for trial in range(12)]
        assert len({json.dumps(v) for v in values}) > 6, method
        for v in values:
            replace(configs.make_config(method, v), epochs=1, warmup_epochs=0)


def make_log(rows):
    """A log from (method, trial, ratio, seed, gap or None for diverged)."""
    columns = ["method", "trial", "ratio", "seed", "avg_gap"]
    log = pd.DataFrame(rows, columns=columns).astype({"avg_gap": float})
    log["config"] = [json.dumps({"lr": trial / 10}) for trial in log["trial"]]
    return log.assign(status=np.where(log["avg_gap"].isna(), "diverged: lr", "ok"))


def test_the_choice_by_hand():
    log = make_log(
        [
            ("a", 0, "0.5", 1, 90.0),
            ("a", 0, "0.9", 1, 92.0),
            ("a", 1, "0.5", 1, 99.0),
            ("a", 1, "0.9", 1, 84.0),  # 91, 91.5
            ("a", 2, "0.5", 1, 99.9),
            ("a", 2, "0.9", 1, None),  # the best where it did not diverge
            ("b", 0, "0.5", 1, 80.3),
            ("b", 0, "0.9", 1, 80.6),
            ("b", 1, "0.5", 1, 80.6),
            ("b", 1, "0.9", 1, 80.3),  # a tie: the earlier
            ("c", 0, "0.5", 1, None),
            ("c", 0, "0.9", 1, 90.0),
        ]
    )
    assert gru.chosen(log) == {"a": {"lr": 0.1}, "b": {"lr": 0.0}}
    assert gru.chosen(log[::-1].reset_index(drop=True)) == {"b": {"lr": 0.0}, "a": {"lr": 0.1}}
    lines = tuning_summary(log).splitlines()
    assert lines[0].startswith("Mean Avg. Gap on validation over 2 requests") and "3 trials" in lines[0]
    assert lines[1].split() == "a 91.5 (defaults 91.0; 1 diverged) trial 1: lr 0.1".split()
    assert lines[3].split() == ["c", "every", "trial", "diverged"]


def test_the_log(finished, options):
    """The scores are those of validation, against the mean of two references."""
    out, log = finished
    assert log["trial"].tolist() == [0, 1]
    assert (
        set(log["seed"]) == {100} and set(log["status"]) == {"ok"} and set(log["sampling"]) == {"replacement"}
    )
    values = [configs.trial_values("finetune", trial) for trial in (0, 1)]
    assert [json.loads(text) for text in log["config"]] == values
    data = gru.load_manifest(options.manifest)
    bench, split = replace(data, test=data.val), gru.forget_split(data.train, [(1, 0)], 0.5, seed=100)
    config, start = gru.TrainConfig(epochs=1, warmup_epochs=0), gru.build_model("small_resnet", 2, seed=100)
    weighted = {"indices": split.retain, "weights": gru.reweight(split), "config": config}
    references = [gru.fit(start, data.train, **weighted, seed=s) for s in (100, gru.further_seed(100, 2))]
    first, second = (gru.score(reference, bench, split) for reference in references)
    original = gru.fit(start, data.train, config=config, seed=100)
    config = FinetuneConfig(epochs=1, **values[1])
    model = gru.unlearn("finetune", original, data.train, split, config, seed=100)
    tuned = gru.score(model, bench, split)
    assert log.loc[1, METRICS].tolist() == [getattr(tuned, metric) for metric in METRICS]
    assert log.loc[1, "avg_gap"] == gru.average_gap(tuned, gru.mean_reference([first, second]))
    assert {path.parent.name for path in out.glob("runs/*/run.json")} == {
        "original-s100",
        "retrain-replacement-r0.5-s100",
        "reference_2-replacement-r0.5-s100",
        "finetune-replacement-r0.5-s100-t0",
        "finetune-replacement-r0.5-s100-t1",
    }


def test_the_files_agree(finished):
    out, log = finished
    written = read_csv(out / "tuning.csv")
    pd.testing.assert_frame_equal(written, log)
    assert gru.chosen(written) == json.loads((out / "chosen.json").read_text()) == gru.chosen(log)
    assert configs.read_values(out / "chosen.json") == gru.chosen(log)


def test_the_test_set_is_never_seen(options, finished, tmp_path):
    """With other test images the tuning is the same, to the recipe of its folder."""
    moved = shutil.copytree(options.manifest.parent, tmp_path / "images")
    for file in moved.glob("test*.png"):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(file)
    other = replace(options, manifest=moved / "tiny.csv")
    same_log(gru.tune(replace(other, out=tmp_path / "out"), progress=False), finished[1])
    assert (tmp_path / "out" / "recipe.json").read_text() == (finished[0] / "recipe.json").read_text()


def test_a_killed_tuning_continues(options, finished, tmp_path, monkeypatch):
    scored = []

    def killed(*arguments, **rest):
        scored.append(gru.score(*arguments, **rest))
        if len(scored) == 3:  # two references and the first trial
            raise KeyboardInterrupt
        return scored[-1]

    asked = replace(options, out=tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "score", killed)
        gru.tune(asked, progress=False)
    before = stamps(asked.out)
    assert len(before) == 3  # the original is not scored
    same_log(gru.tune(asked, progress=False), finished[1])
    assert before.items() <= stamps(asked.out).items()


def test_a_tuning_is_extended(options, finished, tmp_path):
    """By a trial of a method without retain pass; the log holds what was asked for."""
    out = shutil.copytree(finished[0], tmp_path / "out")
    log = gru.tune(replace(options, out=out, methods=("finetune", "gradient_ascent")), progress=False)
    same_log(log[log["method"] == "finetune"], finished[1])
    assert set(log.loc[log["method"] == "gradient_ascent", "sampling"]) == {"none"}
    assert set(gru.chosen(log)) == {"finetune", "gradient_ascent"}


def test_run_and_tune_share_no_folder(options, finished):
    run = gru.RunOptions(
        manifest=options.manifest, groups=("1,0",), seeds=1, epochs=1, jobs=1, out=finished[0]
    )
    with pytest.raises(gru.InputError, match="another recipe: its scored_on is val, yours test"):
        gru.run(run, progress=False)


def test_tuned(monkeypatch, tmp_path):
    monkeypatch.setattr(configs, "PACKAGED", tmp_path)
    assert gru.tuned("finetune") == FinetuneConfig()
    (tmp_path / "waterdigits.json").write_text('{"finetune": {"lr": 0.01}}')
    assert gru.tuned("finetune") == FinetuneConfig(lr=0.01)
    assert gru.tuned("finetune", "waterdigits_large") == FinetuneConfig()  # tuned for itself alone
    assert gru.tuned("salun") == gru.METHODS["salun"][1]()
    recipe = configs.Recipe(benchmark="waterdigits")
    assert (
        recipe.config("finetune", "0.5").lr == 0.01 and recipe.config("retrain", "0.5") == gru.TrainConfig()
    )
    assert (
        replace(recipe, values={}).config("finetune", "0.5") == FinetuneConfig()
    )  # a file replaces all of them
    for wrong, culprit in (
        (("fintune",), "did you mean 'finetune'"),
        (("finetune", "waterdigit"), "did you mean 'waterdigits'"),
    ):
        with pytest.raises(gru.InputError, match=culprit):
            gru.tuned(*wrong)


def test_the_packaged_values_can_be_read():
    for method in gru.METHODS:
        assert isinstance(gru.tuned(method), gru.METHODS[method][1])


def test_the_command(options, finished, capsys, tmp_path, monkeypatch):
    out = shutil.copytree(finished[0], tmp_path / "out")
    words = words_of(options, out=out, record=tmp_path / "log.csv")
    assert cli.main(words) == 0
    assert capsys.readouterr().out == tuning_summary(finished[1]) + "\n"
    text = (tmp_path / "log.csv").read_text()
    assert text.startswith(f"# command: gru-lite tune --manifest {options.manifest.name} --groups 1,0")
    assert str(tmp_path) not in text
    same_log(read_csv(tmp_path / "log.csv"), read_csv(finished[0] / "tuning.csv"))

    def diverges(*_, **__):
        raise gru.DivergedError("diverged")

    monkeypatch.setitem(gru.METHODS, "scrub", (diverges, gru.METHODS["scrub"][1]))
    words[words.index("finetune")] = "scrub"
    assert cli.main(words) == 1
    assert "every trial diverged" in capsys.readouterr().out
    assert json.loads((out / "chosen.json").read_text()) == {}


def test_the_large_setting():
    bench = gru.load("waterdigits_large", seed=1)
    assert bench.name == "waterdigits_large" and bench.default_groups == ((1, 0),)
    assert bench.train.group_counts.tolist() == np.ravel(LARGE["train_counts"]).tolist()
    assert set(bench.val.group_counts) == {LARGE["val_count"]}
    assert set(bench.test.group_counts) == {LARGE["test_count"]}


@pytest.mark.parametrize("benchmark", ["waterdigits", "waterdigits_large"])
def test_the_packaged_values_are_what_the_recorded_tuning_chose(benchmark):
    """As many trials for each method, from the space beside its code.

    On seeds that no other record reports.
    """
    log, _ = gru.read_record(f"{benchmark}_tuning")
    assert gru.chosen(log) == json.loads((configs.PACKAGED / f"{benchmark}.json").read_text())
    assert set(log["method"]) <= set(gru.METHODS) and log["seed"].nunique() >= 4
    n_requests = log["seed"].nunique() * log["ratio"].nunique()
    assert log.groupby("method")["trial"].nunique().nunique() == 1
    assert log.groupby(["method", "trial"]).size().eq(n_requests).all()
    for (method, trial), rows in log.groupby(["method", "trial"]):
        (text,) = set(rows["config"])
        assert json.loads(text) == configs.trial_values(method, trial)
    for file in (Path(__file__).parents[1] / "results").glob("*.csv"):
        if not file.stem.endswith("_tuning"):
            assert not set(gru.read_record(file.stem)[0]["seed"]) & set(log["seed"]), file.stem
