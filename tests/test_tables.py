"""What a table says, on tables whose numbers are made up."""

import re

import numpy as np
import pandas as pd
import pytest

import gru_lite as gru
from gru_lite import cli
from gru_lite.experiment import runs
from gru_lite.experiment.report import beside_reported
from gru_lite.experiment.table import Facts, Results

SCORES = ["RA", "UA", "TA", "MIA", "EO", "GA"]
GAPS = {  # four seeds each; the retrain with REWEIGHT is the reference
    ("original", "none"): [80, 81, 82, 83],
    ("retrain", "none"): [90, 91, 90, 91],
    ("retrain", "replacement"): [np.nan] * 4,
    ("ceiling", "replacement"): [99, 98, 99, 98],
    ("finetune", "none"): [95, 96, 95, 97],
    ("finetune", "replacement"): [96, 97, 98, 96],
    ("miu", "none"): [95, 95, 95, 96],
    ("miu", "replacement"): [97, 98, 98, 98],
}
RIVALS = [
    ("original", "none"),
    ("retrain", "none"),
    ("finetune", "none"),
    ("finetune", "replacement"),
    ("miu", "none"),
]


def make_table(gaps=GAPS, ratio="0.5"):
    rows = []
    for (method, sampling), values in gaps.items():
        for seed, value in enumerate(values):
            row = {"method": method, "sampling": sampling, "ratio": ratio, "seed": seed}
            row |= dict.fromkeys([*SCORES, "worst_group", "acc_0_0"], 50.0 + seed)
            row["avg_gap"] = 100.0 if (method, sampling) == ("retrain", "replacement") else value
            rows.append(
                row | {"avg_gap_refs": value, "n_forget": 90, "seconds": 7.0, "share": 0.35, "status": "ok"}
            )
    return pd.DataFrame(rows)


def test_compare_by_hand():
    found = gru.compare(pd.concat([make_table(), make_table(ratio="0.9")]))
    assert found["ratio"].tolist() == ["0.5"] * 5 + ["0.9"] * 5 and set(found["seeds"]) == {4}
    assert set(zip(found["method"], found["method_sampling"])) == {("miu", "replacement")}
    first = found[:5].set_index(["rival", "sampling"])
    assert list(first.index) == RIVALS
    # miu - finetune with REWEIGHT: 1, 1, 0, 2: mean 1, standard deviation .8165; half 3.18245 * .8165 / 2
    one = first.loc["finetune", "replacement"]
    assert (one["mean"], one["half"]) == pytest.approx((1, 3.18245 * 0.81650 / 2), rel=1e-4)
    p = [gru.paired_test(GAPS["miu", "replacement"], GAPS[key])[2] for key in first.index]
    assert first["p_holm"].tolist() == pytest.approx(gru.holm(p).tolist())
    assert one["smallest"] == gru.smallest_difference([1, 1, 0, 2])
    assert one["smallest_holm"] == gru.smallest_difference([1, 1, 0, 2], level=0.01)


def test_near_the_ceiling_by_hand():
    """Each row against the ceiling, Holm over the methods; retraining and the original are none."""
    rows = []
    gaps = {
        ("ceiling", "replacement"): [98, 99, 98, 99],
        ("finetune", "replacement"): [98.1, 99.0, 98.0, 98.9],
    }
    gaps |= {("miu", "replacement"): [90, 91, 90, 90.5], ("scrub", "none"): [97, 99, 90, 99.5]}
    gaps |= {("original", "none"): [89, 90, 89, 90], ("retrain", "replacement"): [99, 99, 99, 99]}
    for (method, sampling), values in gaps.items():
        for seed, gap in enumerate(values):
            row = {"method": method, "sampling": sampling, "ratio": "0.9", "seed": seed}
            rows.append(row | {"avg_gap": gap, "avg_gap_refs": gap})
    found = gru.equivalence(pd.DataFrame(rows))
    assert found["verdict"].tolist() == ["equivalent", "not equivalent", "undecided"]
    assert found["method"].tolist() == ["finetune", "miu", "scrub"] and set(found["seeds"]) == {4}
    tests = [gru.equivalence_test(gaps[key], gaps["ceiling", "replacement"]) for key in [*gaps][1:4]]
    for k, column in ((2, "p_inside"), (3, "p_outside")):
        np.testing.assert_allclose(found[column], gru.holm([test[k] for test in tests]))
    wide = gru.equivalence(pd.DataFrame(rows), margin=10)
    assert set(wide["verdict"]) == {"equivalent"}
    assert gru.equivalence(pd.DataFrame(rows[4:])).empty  # without a ceiling


def test_compare_another_row_and_metric():
    table = make_table().assign(GA=lambda t: t["GA"] + (t["method"] == "finetune") * (1 + t["seed"] % 2))
    found = gru.compare(table, "finetune", "none", metric="GA").set_index(["rival", "sampling"])
    assert found.loc[("miu", "none"), "mean"] == 1.5 and found.loc[("finetune", "replacement"), "mean"] == 0
    assert set(zip(found["method"], found["method_sampling"])) == {("finetune", "none")}


def test_compare_pairs_what_there_is():
    table = make_table()
    lost = (table["method"] == "finetune") & (table["sampling"] == "none") & (table["seed"] > 0)
    unknown = (table["method"] == "original") & (table["seed"] == 3)
    table["avg_gap_refs"] = table["avg_gap_refs"].mask(unknown)
    found = gru.compare(table[~lost]).set_index(["rival", "sampling"])
    assert ("finetune", "none") not in found.index and found.loc[("original", "none"), "seeds"] == 3
    # four rivals are left to correct over
    smallest = gru.smallest_difference([2, 3, 3, 2], level=0.05 / 4)
    assert found.loc[("miu", "none"), "smallest_holm"] == smallest
    columns = list(gru.compare(table).columns)
    for empty in (
        gru.compare(table[table["seed"] == 0]),
        gru.compare(table[table["method"] != "miu"], "miu"),
    ):
        assert empty.empty and list(empty.columns) == columns


def test_the_best_by_mean_is_compared():
    """Among methods: neither the original, a reference nor the ceiling, and each ratio has its own."""
    other = GAPS | {("finetune", "none"): [98, 98, 98, 99], ("retrain", "none"): [99, 99, 99, 99]}
    found = gru.compare(pd.concat([make_table(), make_table(other, "0.9")]))
    compared = found.groupby("ratio")[["method", "method_sampling"]].first()
    assert compared.to_numpy().tolist() == [["miu", "replacement"], ["finetune", "none"]]
    without = make_table({key: gaps for key, gaps in GAPS.items() if key[0] not in ("finetune", "miu")})
    assert gru.compare(without).empty and "minus each rival" not in gru.summary(without)


def test_further_references_are_no_rivals():
    table = make_table(GAPS | {("reference_2", "replacement"): [98, 98, 99, 97]})
    assert len(gru.compare(table)) == 5


def block(text, name):
    """The lines of the comparison of `name`, from its title to the end."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} minus each rival"))
    return lines[start:]


def test_summary_says_what_survives():
    table = make_table()
    text, found = gru.summary(table), gru.compare(table)
    title, *lines = block(text, "MIU + REWEIGHT")
    assert "Holm over 5 rivals" in title
    for line, row in zip(lines, found.itertuples()):
        survives = "survives" if row.p_holm < 0.05 else "-"
        assert f"{row.mean:+.1f}±{row.half:.1f}" in line and line.endswith(survives)
    assert [line.split()[-1] for line in lines[:5]] == ["survives"] * 3 + ["-", "survives"]
    smallest, first = found["smallest"].median(), found["smallest_holm"].median()
    assert lines[5].endswith(f"{smallest:.1f} points; at Holm's first step {first:.1f}.")
    rows = text.splitlines()
    assert any(line.split()[-2:] == ["7", ".35"] for line in rows) and max(map(len, rows)) <= 150
    assert "rival" not in gru.summary(table[table["seed"] == 0])


def test_summary_says_who_is_compared_and_why(monkeypatch, capsys, tmp_path):
    """The best by mean on these seeds, which is said; or whom --compare-with names."""
    results = Results(make_table())
    best = block(gru.summary(results), "MIU + REWEIGHT")[-1]
    assert best.startswith(
        "MIU + REWEIGHT is compared because it has the highest mean on these seeds; fresh seeds"
    )
    assert block(gru.summary(results, "miu"), "MIU + REWEIGHT")[-1].startswith("Smallest difference")
    monkeypatch.setattr(runs, "run", lambda options: results)
    words = ["run", "--benchmark", "waterdigits", "--methods", "finetune", "miu", "--seeds", "4"]
    assert cli.main([*words, "--compare-with", "finetune"]) == 0
    title, *lines = block(capsys.readouterr().out, "fine-tune + REWEIGHT")
    assert [line.split("  ")[1] for line in lines[:5]] == [
        "original (no-op)", "retrain", "fine-tune", "MIU", "MIU + REWEIGHT",
    ]  # fmt: skip
    assert "minus each rival" not in "\n".join(lines) and "is compared because" not in lines[-1]


def test_the_calibrated_gap_uses_all_references():
    table = make_table(GAPS | {("reference_2", "replacement"): [98, 98, 99, 97]})
    line = next(line for line in gru.summary(table).splitlines() if line.startswith("MIU + REWEIGHT "))
    gaps = (GAPS[key] for key in (("miu", "replacement"), ("original", "none"), ("ceiling", "replacement")))
    assert "{:.0f} [{:.0f},{:.0f}]".format(*gru.calibrated_gap(*gaps)) in line


# Beside the reported numbers.


def waterbirds():
    """Two seeds of four rows at two ratios; EO, the mean over all pairs, is not what the paper reports."""
    rows = []
    means = {"original": 90.0, "retrain": 60.0, "miu": 61.0, "ceiling": 60.0}
    for method, base in means.items():
        for ratio in ("0.5", "0.9"):
            for seed in (0, 1):
                row = {
                    "method": method,
                    "sampling": "none" if method == "original" else "replacement",
                    "ratio": ratio,
                }
                row |= {"seed": seed, "status": "ok", **dict.fromkeys(SCORES, base + seed), "EO": -1.0}
                rows.append(row | {"EO_paper": base + (6 if method == "miu" else 0) + seed})
    return pd.DataFrame(rows)


def beside(table, data="waterbirds", model="resnet18", target=None, default_request=True, **facts):
    return beside_reported(Results(table, Facts("", default_request, data, model, target, **facts)))


def test_beside_the_reported_numbers_by_hand():
    lines = beside(waterbirds()).splitlines()
    assert lines[0].startswith("Ratio 0.5, means: ours, (reported")
    assert lines[1].split() == [*SCORES, "Avg.", "Gap"]
    # waterbirds,0.5,MIU,99.9,54.8,85.8,59.5,28.3,53.7,96.9; each of ours is 61.5, EO 67.5
    # gaps 1, 1, 1, 1, 7, 1: 100 - 2
    assert lines[4].startswith("MIU + REWEIGHT ")
    assert re.findall(r"\S+ \([^)]*\)", lines[4]) == [
        "61.5 (99.9, -38.4)", "61.5 (54.8, +6.7)", "61.5 (85.8, -24.3)", "61.5 (59.5, +2.0)",
        "67.5 (28.3, +39.2)", "61.5 (53.7, +7.8)", "98.0 (96.9, +1.1)",
    ]  # fmt: skip
    # the paper has no gap of these
    assert (
        "90.5 (98.9, -8.4)" in lines[2] and lines[2].endswith("70.0 (-)") and lines[3].endswith("100.0 (-)")
    )
    assert lines[5] == "Not reported: ceiling (held-out ref.)."
    assert lines[6:] == ["", "Not reported: ratio 0.9; the paper's first version has 0.5."]
    said = beside(waterbirds(), trial="--epochs 1").splitlines()
    assert said == ["A trial run (--epochs 1): its differences say nothing about the paper.", "", *lines]


def test_what_is_not_reported():
    for what, why in (
        ({"data": "multinli", "model": "bert"}, "the paper's first version has no numbers of multinli"),
        ({"model": "vit_b_16"}, "resnet18, not vit_b_16"),
        ({"data": "celeba", "target": "Blond_Hair"}, "target Attractive, not Blond_Hair"),
        ({"data": "fairface", "default_request": False}, "the default group, not others"),
    ):
        said = beside(waterbirds(), **what)
        assert said.startswith("Not reported: ") and why in said and "\n" not in said


def test_celeba_is_reported_with_its_first_target():
    table = waterbirds().query("ratio == '0.5'").reset_index(drop=True)
    table.loc[table["method"] == "miu", [*SCORES, "EO_paper"]] = np.nan  # diverged
    lines = beside(table, "celeba", target="Attractive").splitlines()
    assert "(66.6, " in lines[2] and lines[4].split("  ")[0] == "MIU + REWEIGHT"
    assert lines[4].split()[3:] == ["-"] * 7
    # without a reference there is no gap
    lines = beside(table[table["method"] != "retrain"], "celeba", target="Attractive").splitlines()
    assert lines[2].split()[-1] == "-"
