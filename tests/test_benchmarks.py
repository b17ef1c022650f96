"""The scripts of benchmarks/ and results/ run, on a few pictures: their numbers are read, not judged."""

import importlib
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gru_lite.experiment.store import read_csv

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script with its arguments in this process, and returns what it printed."""

    def run(script, arguments):
        monkeypatch.setattr(sys, "argv", [script, *arguments.split()])
        threads, rng = torch.get_num_threads(), torch.get_rng_state()
        try:
            module(script).main()
        finally:
            torch.set_num_threads(threads)
            torch.set_rng_state(rng)
        return capsys.readouterr().out

    def module(script):
        folder, name = script.split("/")
        monkeypatch.syspath_prepend(ROOT / folder)
        return importlib.import_module(name)

    run.module = module
    yield run
    for name in (
        "cache",
        "pipeline",
        "training",
        "miu_traps",
        "miu_mechanism",
        "repeats",
        "group_size",
        "many_groups",
        "text",
    ):
        sys.modules.pop(name, None)


def test_pipeline(run):
    """Every row of each table, with a ratio to the first and to the ceiling."""
    few = "--images 60 --image-size 32 --epochs 1 --rounds 1 --warm-up 0 --workers 1 --threads 1 --device cpu"
    said = run("benchmarks/pipeline", f"{few} --model small_resnet")
    number = r" +(\d+\.\d+)"
    rows = re.findall(rf"^  (ours|ordinary|ceiling)\b.*?{number * 3}$", said, re.MULTILINE)
    passes = ["ours", "ordinary", "ordinary", "ceiling"]
    assert [row[0] for row in rows] == [*passes, *("ours", "ordinary", "ceiling"), *passes]
    seconds, ratio, of_ceiling = ([float(row[i]) for row in rows] for i in (1, 2, 3))
    assert min(seconds) > 0 and min(ratio) > 0 and min(of_ceiling) >= 0
    assert all(value == 1 for row, value in zip(rows, ratio) if row[0] == "ours")
    assert all(value == 1 for row, value in zip(rows, of_ceiling) if row[0] == "ceiling")


def test_training(run):
    said = run("benchmarks/training", "--group 30 --rounds 1 --batches 3")
    ratios = re.findall(r"^  \S.* +(\d+\.\d) ms +ratio +(\d+\.\d\d)$", said, re.MULTILINE)
    assert len(ratios) == 3 + 4 + 2 + 2 and all(float(ms) > 0 for ms, _ in ratios)
    assert [ratios[first][1] for first in (0, 3, 7, 9)] == ["1.00"] * 4


def test_a_square_picture_is_not_changed_by_the_cache(run):
    """It is resized as ordinarily; every other shape is squashed."""
    said = run("benchmarks/cache", "--pictures 2 --size 56")
    means = dict(re.findall(r"(\d+ x \d+)  evaluation view +(\d+\.\d+)", said))
    assert float(means.pop("400 x 400")) == 0 and len(means) == 4
    assert all(0 < float(mean) < 10 for mean in means.values())


def test_the_variants_of_the_traps(run):
    """Each differs from the one that it is compared with in the field of its name, and in no other."""
    traps = run.module("results/miu_traps")
    variants = traps.variants()
    fields = {name: asdict(config) for name, (_, config, _) in variants.items()}

    def differing(name, other):
        return {field for field, value in fields[name].items() if value != fields[other][field]}

    others = {"first_steps", "later_steps", "critic_augment"}
    tuned = {"clip", "forget_batch_size"}  # may have been tuned to what is released
    assert differing("corrected", "as released") - tuned == {*traps.FIELDS, *others} - tuned
    for name in variants:
        base, _, field = name.partition("released but ")
        if field:
            assert differing(name, f"{base}as released") - tuned == {field} - tuned
    assert {name for name, (_, _, reweight) in variants.items() if not reweight} == {"no REWEIGHT"}
    assert len(variants) == 2 + 12 + 6 + 4 and run.module("results/repeats").REPEATS == 4


def test_the_sizes_of_a_group(run, tmp_path):
    """A trial writes a record, goes on where it was stopped, and never replaces the record of the book."""
    trial = f"--trial --seeds 1 --runs {tmp_path}"
    said = run("results/group_size", f"{trial} --out {tmp_path / 'sizes.csv'}")
    lines = (tmp_path / "sizes.csv").read_text().splitlines()
    assert lines[0].startswith("# command: python results/group_size.py")
    # 60 of the group: floor(.95 * 60) = 57 leave, then 2 / 3
    assert [line.split(",")[:3] for line in lines[-2:]] == [["3", "0.95", "0"], ["20", "2/3", "0"]]
    assert run("results/group_size", f"{trial} --out {tmp_path / 'again.csv'}") == said
    with pytest.raises(SystemExit):
        run("results/group_size", trial)


def test_many_groups(run, tmp_path):
    """A trial has the original and eight of the requests; what is finished is not computed again."""
    trial = f"--trial --seeds 1 --work {tmp_path}"
    assert run("results/many_groups", f"{trial} --out {tmp_path / 'groups.csv'}") == "seed 0\n"
    lines = (tmp_path / "groups.csv").read_text().splitlines()
    assert lines[0].startswith("# command: python results/many_groups.py")
    table = read_csv(tmp_path / "groups.csv")
    assert len(table) == 9 and table["request"].tolist()[:2] == ["none", "even"]
    named = [len(pairs.split()) for pairs in table["groups"][1:]]
    assert named == table["asked"].tolist()[1:] and table["ess"].between(1, 3900).all()
    targets = table[[name for name in table if name.startswith("acc_")]]
    assert targets.shape == (9, 20) and np.allclose(targets.mean(axis=1), table["TA"], atol=0.01)
    assert run("results/many_groups", f"{trial} --out {tmp_path / 'again.csv'}") == ""
    with pytest.raises(SystemExit):
        run("results/many_groups", trial)


def test_the_requests_of_many_groups(run):
    """Requests are nested, each of an uneven one has its own ratio, and every seed asks in another order."""
    script = run.module("results/many_groups")
    asked = list(script.requests(0))
    assert len(asked) == 1 + 4 * 7 * 2 + 3 * 2 * 2 + 2 * 2 + 2 + 2 + 2 * 2
    sizes = {len(groups): groups for _, groups, _, _ in asked}
    assert all(sizes[15][:n] == sizes[n] and len(set(groups)) == n for n, groups in sizes.items())
    assert all(len(groups) == len(ratios) for _, groups, ratios, _ in asked)
    uneven = [ratios for name, _, ratios, power in asked if name == "uneven a" and power == 1]
    assert [len(ratios) for ratios in uneven] == [3, 9, 15] and len(set(uneven[2])) > 2
    assert [groups for _, groups, _, _ in script.requests(1)] != [groups for _, groups, _, _ in asked]


def test_many_groups_with_more_steps(run, tmp_path):
    """Fine-tuning makes as many steps as it is asked for, also more than its default passes have."""
    out = tmp_path / "steps.csv"
    run("results/many_groups", f"--seeds 1 --steps 2 200 --work {tmp_path} --out {out}")
    table = read_csv(out)
    assert table.groupby("steps").size().tolist() == [6, 6] and (table["status"] == "ok").all()
    for steps in (2, 200):
        kept = tmp_path / f"many_groups/steps_{steps}/runs/finetune-r0.9-s0/run.json"
        config = json.loads(kept.read_text())["config"]
        assert config["steps"] == steps <= 38 * config["epochs"]  # 2,388 images of R in batches of 64


@pytest.mark.slow
def test_the_methods_on_text(run, tmp_path, monkeypatch):
    """A trial on few sentences writes both records, and a second call computes nothing again."""
    pytest.importorskip("transformers")
    text = run.module("results/text")
    config = replace(text.TRAININGS["small_bert"], epochs=1, warmup_epochs=0)
    monkeypatch.setattr(text, "CONFIGS", {"small_bert": config})
    monkeypatch.setattr(text, "TRIALS", 1)
    text.multinli.write_example_tree(tmp_path / "sentences", 1200, 6, 6)
    trial = (
        f"--model small_bert --seeds 1 --ratio 0.9 --work {tmp_path} --out {tmp_path / 'text_methods.csv'}"
    )
    run("results/text", trial)
    table = pd.read_csv(tmp_path / "text_methods.csv", comment="#").set_index(["method", "sampling"])
    assert len(table) == 4 + 6 and (table["n_forget"] == 10).all()  # floor(.9 * 12)
    assert table.loc[("retrain", "replacement"), ["avg_gap", "share"]].tolist() == [100, 1]
    ours, reference = table.loc[("original", "none")], table.loc[("retrain", "replacement")]
    apart = sum(abs(ours[score] - reference[score]) for score in ("RA", "UA", "TA", "MIA", "EO", "GA")) / 6
    assert ours["avg_gap"] == pytest.approx(100 - apart)
    assert set(table["steps"]) == {0, 10, 2}  # one epoch of 1,190 in batches of 128, and a sixth
    assert len(pd.read_csv(tmp_path / "text_search.csv", comment="#")) == 6
    first = (tmp_path / "text_methods.csv").read_text()
    assert "# command: python results/text.py --model small_bert --seeds 1 --ratio 0.9\n" in first
    monkeypatch.setattr(text, "one_run", None)
    run("results/text", trial)
    assert (tmp_path / "text_methods.csv").read_text() == first


def test_a_critic_diverges_on_long_features_alone(run):
    """As released the loss isn't finite at a step that is named; with short features it stays small."""
    script = run.module("results/miu_stability")
    draws, law = torch.Generator().manual_seed(0), torch.full((4,), 0.25)
    batches = [
        (torch.rand(128, 512, generator=draws), torch.randint(4, (128,), generator=draws)) for _ in range(30)
    ]
    step, worst = script.tune(batches, law, 0, scale=10)
    assert 1 < step <= 30 and worst > 0
    assert script.tune(batches, law, 0, scale=0.1) == (None, pytest.approx(0, abs=1))
    for changes in script.ALONE.values():
        assert script.tune(batches[:2], law, 0, **changes)[0] is None
    switched = {name for fields in script.WHOLE.values() for name in fields}
    assert switched >= {name for name in script.MIUConfig.CORRECTED if "steps" not in name}
