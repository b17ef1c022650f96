"""Tuning: the search space, the choice, and a small tuning from end to end.

It never looks at the test set.
"""

import json
import re
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
from gru_lite.experiment import runs, store
from gru_lite.experiment.store import read_csv
from gru_lite.experiment.tuning import Search, results_of, rounds, tuning_summary
from gru_lite.methods.finetune import FinetuneConfig
from gru_lite.recipes import configs, search

METRICS = ["RA", "UA", "TA", "MIA", "EO", "GA"]


@pytest.fixture(scope="module")
def options(manifest):
    return gru.TuneOptions(
        manifest=manifest, groups=("1,0",), methods=("finetune",), seeds=1, trials=2, epochs=1, jobs=1
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
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
    drawn = search.first_points("mine", 60)
    # the defaults, even outside of the space
    assert drawn[0] == {"lr": 0.05, "weight_decay": 0.005, "batch_size": 64, "shift": 2}
    assert drawn == search.first_points("mine", 60) and drawn[:7] == search.first_points("mine", 7)
    lr, decay, batch, shift = np.array([list(values.values()) for values in drawn[1:]]).T
    assert 0.001 <= lr.min() < 0.002 and 0.05 < lr.max() <= 0.1
    assert 0.2 < np.mean(lr < 0.01) < 0.8  # even in orders of magnitude
    assert 0.5 <= decay.min() < 0.52 and 0.58 < decay.max() <= 0.6
    assert 8 <= batch.min() < 16 and 64 < batch.max() <= 128 and set(shift) == {0, 2}
    for values in drawn:
        assert isinstance(values["batch_size"], int) and json.loads(json.dumps(values)) == values
        assert values["lr"] == float(f"{values['lr']:.1e}")
        configs.make_config("mine", values)
    others = search.first_points("mine", 60, search=2)
    assert len(others) == 60 and not [values for values in others if values in drawn]
    monkeypatch.setattr(Config, "SPACE", {})
    with pytest.raises(gru.InputError, match="mine has nothing to tune"):
        search.first_points("mine", 2)


def test_every_method_has_a_space_of_valid_values():
    for method in (name for name, (_, config) in gru.METHODS.items() if hasattr(config, "SPACE")):
        values = search.first_points(method, 12)
        assert len({json.dumps(v) for v in values}) > 6, method
        for v in values:
            replace(configs.make_config(method, v), epochs=1, warmup_epochs=0)


def test_where_a_search_is_extended():
    space = {"lr": ("log", 1e-3, 1e-1), "alpha": ("log", 1.0, 100.0), "share": ("linear", 0.0, 1.0)}
    space["shift"] = ("choice", (0, 2))
    inside = {"lr": 1e-2, "alpha": 10.0, "share": 0.01, "shift": 0}  # choices and linear ranges have no edge
    assert search.edges(space, inside) == {}
    for lr, end in ((1.5e-3, "low"), (1e-4, "low"), (0.0, "low"), (7e-2, "high"), (0.5, "high")):
        assert search.edges(space, inside | {"lr": lr}) == {"lr": end}
    for lr in (1.7e-3, 6e-2):  # a tenth of two orders of magnitude is a factor of 1.58
        assert search.edges(space, inside | {"lr": lr}) == {}
    assert search.edges(space, inside | {"lr": 1e-3, "alpha": 99.0}) == {"lr": "low", "alpha": "high"}
    new, whole = search.extended(space, {"lr": "low", "alpha": "high"})
    np.testing.assert_allclose(new["lr"][1:], (1e-4, 1e-3 * 10**0.2))
    np.testing.assert_allclose(whole["lr"][1:], (1e-4, 1e-1))
    np.testing.assert_allclose(new["alpha"][1:], (100 / 10**0.2, 1000))
    np.testing.assert_allclose(whole["alpha"][1:], (1, 1000))
    assert all(part[name] == space[name] for part in (new, whole) for name in ("share", "shift"))


def test_halving_by_hand():
    assert [rounds(n) for n in (1, 2, 3, 4, 5, 8)] == [
        [1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 2, 4, 5], [1, 2, 4, 8],
    ]  # fmt: skip
    one = Search("finetune", "none", {}, [{}] * 7)
    gaps = {0: [80.0, 90.0], 1: [84.0], 2: [86.0, 84.0], 3: [np.nan, 99.0], 4: [85.0], 5: [70.0], 6: [60.0]}
    for trial, values in gaps.items():
        for seed, gap in enumerate(values):
            one.rows[runs.Run("finetune", "none", "0.5", seed, trial)] = {"avg_gap": gap}
    assert one.better_third([*range(7)]) == [0, 2, 4]  # 85, 85, 85: the earlier
    assert one.better_third([6, 3]) == [6]  # what diverged comes last


def make_log(rows):
    """A log from (method, trial, ratio, seed, gap or None for diverged)."""
    columns = ["method", "trial", "ratio", "seed", "avg_gap"]
    log = pd.DataFrame(rows, columns=columns).astype({"avg_gap": float}).assign(sampling="none")
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
    assert gru.chosen(log) == {"a": {"lr": 0.1}, "b": {"lr": 0.0}, "c": None}
    assert gru.chosen(log[::-1].reset_index(drop=True)) == {"c": None, "b": {"lr": 0.0}, "a": {"lr": 0.1}}
    lines = tuning_summary(log).splitlines()
    assert lines[0].startswith("Mean Avg. Gap on validation over 2 requests")
    assert lines[1].split() == "a 91.5 (3 trials, 1 diverged) trial 1: lr 0.1".split()
    assert lines[3].split() == "c failed search: every trial diverged (1 trials, 1 diverged)".split()


def test_a_failed_search_by_hand():
    """Doing nothing is better: no values. With REWEIGHT and without are two searches."""
    log = make_log(
        [("original", 0, "0.5", s, 90.0) for s in (1, 2)]
        + [("a", t, "0.5", s, gap) for t, gap in enumerate((70.0, 89.9)) for s in (1, 2)]
        + [("a", 2, "0.5", 1, 99.0)]  # dropped before the second seed
    )
    both = pd.concat([log, log[log["method"] == "a"].assign(sampling="replacement", avg_gap=91.0)])
    both = both.reset_index(drop=True)
    assert gru.chosen(both) == {"a": {"lr": 0.0}, configs.PLAIN: {"a": None}}
    assert gru.chosen(log) == {"a": None}
    found = results_of(both)["a", "none"]
    assert (found.trial, found.gap, found.no_op, found.is_failed) == (1, 89.9, 90.0, True)
    lines = tuning_summary(both).splitlines()
    assert lines[1].split() == ["doing", "nothing", "90.0"]
    assert "a failed search: 89.9 at best is below doing nothing (3 trials)" in " ".join(lines[2].split())


@pytest.mark.parametrize(
    "gaps, at, extended",
    [
        ((99.0, 80.0), {"lr": 0.02}, 0),  # inside
        ((99.0, 80.0), {"lr": 0.0051}, 1),  # at the edge; then no longer: the range is wider
        ((80.0, 79.0), {"lr": 0.02}, 2),  # below doing nothing
    ],
)
def test_a_search_extends_itself(gaps, at, extended):
    options = gru.TuneOptions(benchmark="waterdigits", methods=("finetune",), trials=4, seeds=1)
    space = {"lr": ("log", 0.005, 0.1), "shift": ("choice", (0, 2))}
    one = Search("finetune", "none", space, [{"shift": 0, **at}, {"lr": 0.03, "shift": 0}])
    no_op = make_log([("original", 0, "0.5", 100, 90.0)]).to_dict("records")
    for times in range(4):
        for trial, values in enumerate(one.trials):
            (row,) = make_log([("finetune", trial, "0.5", 100, gaps[trial > 0])]).to_dict("records")
            row |= {"config": json.dumps(values), "extension": 0}
            one.rows[runs.Run("finetune", "none", "0.5", 100, trial)] = row
        before = len(one.trials)
        more = one.extend(no_op, options)
        assert more == (times < extended) and len(one.trials) == before + 2 * more
    added = [values["lr"] for values in one.trials[2:]]
    assert all(lr < 0.0068 for lr in added)  # below the lower edge and its tenth
    assert len(set(added)) == len(added)


def test_the_log(finished, options):
    """The scores are those of validation, against the mean of two references."""
    out, log = finished
    assert set(log["seed"]) == {100} and set(log["status"]) == {"ok"}
    # Doing nothing; then with REWEIGHT, then without, the same points.
    assert log["method"].tolist()[:3] == ["original", "finetune", "finetune"] and log["trial"][0] == 0
    values = search.first_points("finetune", 2)
    for sampling in ("replacement", "none"):
        part = log[(log["sampling"] == sampling) & (log["method"] == "finetune")]
        first = part[part["extension"] == 0]
        assert first["trial"].tolist() == [0, 1]
        assert [json.loads(text) for text in first["config"]] == values
        assert part["extension"].tolist() == [0, 0, 1, 2][: len(part)]
    data = gru.load_manifest(options.manifest)
    bench, split = replace(data, test=data.val), gru.forget_split(data.train, [(1, 0)], 0.5, seed=100)
    config, start = gru.TrainConfig(epochs=1, warmup_epochs=0), gru.build_model("small_resnet", 2, seed=100)
    weighted = {"indices": split.retain, "weights": gru.reweight(split), "config": config}
    references = [gru.fit(start, data.train, **weighted, seed=s) for s in (100, gru.further_seed(100, 2))]
    first, second = (gru.score(reference, bench, split) for reference in references)
    original = gru.fit(start, data.train, config=config, seed=100)
    config = FinetuneConfig(epochs=1, **values[1])
    model = gru.unlearn("finetune", original, data.train, split, config, seed=100)
    for row, scored in ((0, original), (2, model)):
        found = gru.score(scored, bench, split)
        assert log.loc[row, METRICS].tolist() == [getattr(found, metric) for metric in METRICS]
        assert log.loc[row, "avg_gap"] == gru.average_gap(found, gru.mean_reference([first, second]))
    names = {path.parent.name for path in out.glob("runs/*/run.json")}
    trained = {"original-s100", "original-r0.5-s100", "retrain-replacement-r0.5-s100"}
    assert trained | {"reference_2-replacement-r0.5-s100", "finetune-r0.5-s100-t1"} < names
    assert {name for name in names if not name.startswith("finetune-")} == trained | {
        "reference_2-replacement-r0.5-s100"
    }


def test_a_limit_of_steps_is_chosen(options, tmp_path):
    """Every trial has it, and so has what is chosen: runs with it make as many steps."""
    limited = replace(options, steps=3, out=tmp_path / "out")
    log = gru.tune(limited, progress=False)
    configs = [json.loads(text) for text in log.loc[log["method"] != "original", "config"]]
    assert configs and all(config["steps"] == 3 for config in configs)
    chosen = json.loads((limited.out / "chosen.json").read_text())
    assert all(values["steps"] == 3 for values in chosen.values() if values and "steps" in values)
    record = json.loads((limited.out / "runs/finetune-r0.5-s100-t0/run.json").read_text())
    assert record["config"]["steps"] == 3


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
        if len(scored) == 4:  # two references, doing nothing and the first trial
            raise KeyboardInterrupt
        return scored[-1]

    asked = replace(options, out=tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "score", killed)
        gru.tune(asked, progress=False)
    before = stamps(asked.out)
    assert len(before) == 4  # the original is trained, and not scored
    same_log(gru.tune(asked, progress=False), finished[1])
    assert before.items() <= stamps(asked.out).items()


def test_a_tuning_is_extended(options, finished, tmp_path):
    """By a trial of a method without retain pass; the log holds what was asked for."""
    out = shutil.copytree(finished[0], tmp_path / "out")
    log = gru.tune(replace(options, out=out, methods=("finetune", "gradient_ascent")), progress=False)
    same_log(log[log["method"] != "gradient_ascent"], finished[1])
    assert set(log.loc[log["method"] == "gradient_ascent", "sampling"]) == {"none"}
    assert set(gru.chosen(log)) == {"finetune", "gradient_ascent", configs.PLAIN}


def test_run_and_tune_share_no_folder(options, finished):
    run = gru.RunOptions(
        manifest=options.manifest, groups=("1,0",), seeds=1, epochs=1, jobs=1, out=finished[0]
    )
    with pytest.raises(gru.InputError, match="another recipe: its scored_on is val, yours test"):
        gru.run(run, progress=False)


def test_tuned(monkeypatch, tmp_path):
    monkeypatch.setattr(configs, "PACKAGED", tmp_path)
    assert gru.tuned("finetune") == FinetuneConfig()
    values = {"finetune": {"lr": 0.01}, configs.PLAIN: {"finetune": {"lr": 0.02}, "scrub": None}}
    (tmp_path / "waterdigits.json").write_text(json.dumps(values))
    assert gru.tuned("finetune", reweight=False) == FinetuneConfig(lr=0.02)
    assert gru.tuned("scrub", reweight=False) == gru.tuned("scrub") == gru.METHODS["scrub"][1]()
    assert gru.tuned("finetune") == FinetuneConfig(lr=0.01)
    assert gru.tuned("finetune", "waterdigits_large") == FinetuneConfig()  # tuned for itself alone
    assert gru.tuned("salun") == gru.METHODS["salun"][1]()
    recipe = configs.Recipe(benchmark="waterdigits")
    assert (
        recipe.config("finetune", "0.5", True).lr == 0.01
        and recipe.config("retrain", "0.5") == gru.TrainConfig()
    )
    assert (
        replace(recipe, values={}).config("finetune", "0.5", True) == FinetuneConfig()
    )  # a file replaces all of them
    for wrong, culprit in (
        (("fintune",), "did you mean 'finetune'"),
        (("finetune", "waterdigit"), "did you mean 'waterdigits'"),
    ):
        with pytest.raises(gru.InputError, match=culprit):
            gru.tuned(*wrong)


def test_a_failed_search_is_never_a_score(options, tmp_path, capsys):
    """In a table of methods it is a marked row without numbers, and no error."""
    (tmp_path / "chosen.json").write_text(json.dumps({"gradient_ascent": None, "finetune": {"lr": 0.01}}))
    words = f"run --manifest {options.manifest} --groups 1,0 --epochs 1 --jobs 1 --seeds 1".split()
    words += ["--methods", "gradient_ascent", "finetune", "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--configs", str(tmp_path / "chosen.json")]) == 0
    output = capsys.readouterr()
    (line,) = [line for line in output.out.splitlines() if "[failed search]" in line]
    assert line.lower().startswith("gradient ascent [failed search]") and set(line.split("]")[1]) == {
        " ",
        "-",
    }
    assert "failed" not in output.err
    table = read_csv(tmp_path / "out" / "table.csv").set_index("method")
    assert table.loc["gradient_ascent", "status"].startswith("failed search")
    assert (
        table.loc["gradient_ascent", METRICS].isna().all() and (table.loc["finetune", "status"] == "ok").all()
    )


def test_the_packaged_values_can_be_read():
    for method in gru.METHODS:
        assert isinstance(gru.tuned(method), gru.METHODS[method][1])


def test_the_command(options, finished, capsys, tmp_path, monkeypatch):
    out = shutil.copytree(finished[0], tmp_path / "out")
    words = words_of(options, out=out, record=tmp_path / "log.csv")
    failed = [found.is_failed for found in results_of(finished[1]).values()]
    assert cli.main(words) == int(any(failed))
    assert capsys.readouterr().out == tuning_summary(finished[1]) + "\n"
    text = (tmp_path / "log.csv").read_text()
    assert text.startswith(f"# command: gru-lite tune --manifest {options.manifest.name} --groups 1,0")
    assert str(tmp_path) not in text
    written = read_csv(finished[0] / "tuning.csv")
    same_log(read_csv(tmp_path / "log.csv"), store.rounded(written))

    def diverges(*_, **__):
        raise gru.DivergedError("diverged")

    monkeypatch.setitem(gru.METHODS, "scrub", (diverges, gru.METHODS["scrub"][1]))
    words[words.index("finetune")] = "scrub"
    assert cli.main(words) == 1
    assert "every trial diverged" in capsys.readouterr().out
    assert json.loads((out / "chosen.json").read_text()) == {"scrub": None, configs.PLAIN: {"scrub": None}}


def test_the_large_setting():
    bench = gru.load("waterdigits_large", seed=1)
    assert bench.name == "waterdigits_large" and bench.default_groups == ((1, 0),)
    assert bench.train.group_counts.tolist() == np.ravel(LARGE["train_counts"]).tolist()
    assert set(bench.val.group_counts) == {LARGE["val_count"]}
    assert set(bench.test.group_counts) == {LARGE["test_count"]}


def recorded_elsewhere(seeds):
    """The records, no logs of searches, that report one of these seeds."""
    found = []
    for file in (Path(__file__).parents[1] / "results").glob("*.csv"):
        table, _ = gru.read_record(file.stem)
        if "config" not in table and set(table["seed"]) & set(seeds):
            found.append(file.stem)
    return found


def test_the_packaged_values_of_many_groups_are_what_their_search_chose():
    """Nine groups; each method began with as many trials, within the same steps."""
    log, about = gru.read_record("inkdigits_search")
    assert gru.chosen(log) == json.loads((configs.PACKAGED / "inkdigits_edges.json").read_text())
    assert not recorded_elsewhere(log["seed"]) and "--steps 150" in about["command"]
    searched = log[(log["method"] != "original") & (log["extension"] == 0)].groupby(["method", "sampling"])
    assert len(searched) == 2 * 6 + 1 and searched["trial"].nunique().eq(8).all()


@pytest.mark.parametrize("name, rows", [("waterdigits", 6), ("waterdigits_large", 8)])
def test_the_packaged_values_are_what_the_recorded_search_chose(name, rows):
    """Each method, with and without REWEIGHT, began with its 24 declared points on four seeds of its own."""
    log, about = gru.read_record(f"{name}_search_1")
    assert gru.chosen(log) == json.loads((configs.PACKAGED / f"{name}.json").read_text())
    steps = int(re.search(r"--steps (\d+)", about["command"]).group(1))
    assert log["seed"].nunique() == 4 and not recorded_elsewhere(log["seed"])
    searched = log[log["method"] != "original"].groupby(["method", "sampling"])
    assert len(searched) == 2 * rows + 1  # gradient ascent never visits R
    for (method, _), trials in searched:
        first = trials[trials["extension"] == 0].drop_duplicates("trial").sort_values("trial")["config"]
        points = search.first_points(method, 24, search=1)
        assert [json.loads(text) for text in first] == [{**point, "steps": steps} for point in points]
