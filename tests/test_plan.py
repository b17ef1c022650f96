"""`gru-lite plan`: streams of requests against closed forms, and rates against counted steps."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import accepted

import gru_lite as gru
from gru_lite import cli
from gru_lite.experiment import costs
from gru_lite.experiment.costs import Batch, Rate
from gru_lite.experiment.store import Run
from gru_lite.train import Training

step = Training.step  # as it is outside of the test that counts its calls
ONE_A_DAY = np.arange(10) + 0.5  # ten requests, each at noon


@pytest.fixture
def people(tmp_path):
    """A table of 60 records in four groups of 15, all of them in each part."""
    rng = np.random.default_rng(0)
    rows = [(y, s, rng.normal(int(y)), rng.normal(s == "b")) for y in "01" for s in "ab" for _ in range(15)]
    frame = pd.DataFrame(rows, columns=["ill", "sex", "age", "dose"])
    parts = [frame.assign(split=part) for part in ("train", "val", "test")]
    pd.concat(parts).to_csv(tmp_path / "people.csv", index=False)
    file = {"table": tmp_path / "people.csv", "target": "ill", "sensitive": "sex"}
    return file | {"groups": ("1,a",), "ratio": ("0.4",)}


def test_batches_by_hand():
    calls, waits = Batch(1).serve(ONE_A_DAY, 10)
    assert (calls == ONE_A_DAY).all() and (waits == 0).all()
    calls, waits = Batch(5).serve(ONE_A_DAY, 10)
    assert calls.tolist() == [4.5, 9.5] and waits.tolist() == [4, 3, 2, 1, 0] * 2
    calls, waits = Batch(4).serve(ONE_A_DAY, 10)  # the last two wait for the end
    assert calls.tolist() == [3.5, 7.5, 10] and waits.tolist() == [3, 2, 1, 0] * 2 + [1.5, 0.5]
    calls, waits = Batch(days=2).serve(ONE_A_DAY, 10)
    assert calls.tolist() == [2, 4, 6, 8, 10] and waits.tolist() == [1.5, 0.5] * 5
    calls, _ = Batch(days=7).serve(ONE_A_DAY, 10)
    assert calls.tolist() == [7, 10]
    calls, waits = Batch(2).serve([1.0, 1.0, 1.0, 1.0], 3)  # two calls at the same moment
    assert calls.tolist() == [1, 1] and (waits == 0).all()


@given(
    st.lists(st.floats(0, 30), min_size=1, max_size=60),
    st.one_of(st.builds(Batch, st.integers(1, 70)), st.builds(Batch, st.none(), st.floats(0.01, 40))),
)
def test_nobody_is_left_waiting(arrivals, batch):
    arrivals = np.sort(arrivals)
    calls, waits = batch.serve(arrivals, 30)
    served = arrivals + waits
    assert (waits >= 0).all() and np.isin(served.round(9), calls.round(9)).all()
    assert calls.max() <= 30 and (np.diff(calls) >= 0).all()
    if batch.requests:
        assert len(calls) == -(-len(arrivals) // batch.requests)
    else:
        assert waits.max() <= batch.days * (1 + 1e-9) and len(calls) <= math.ceil(30 / batch.days)


@pytest.mark.parametrize("batch", [Batch(1), Batch(8), Batch(days=3.0), Batch(days=0.1)], ids=str)
def test_expected_costs_are_those_of_poisson_streams(batch):
    rng, days, per_day = np.random.default_rng(1), 3000, 0.7
    arrivals = np.sort(rng.uniform(0, days, rng.poisson(per_day * days)))
    served, waits = batch.serve(arrivals, days)
    calls, mean, longest, limit = batch.expect(per_day, days)
    of_batches = pd.Series(waits).groupby((arrivals + waits).round(9)).max()
    assert len(served) == pytest.approx(calls, rel=0.1)
    assert waits.mean() == pytest.approx(mean, rel=0.1, abs=1e-12)
    assert of_batches.mean() == pytest.approx(longest, rel=0.1, abs=1e-12)
    if batch.requests == 8:  # seven others, at 0.7 a day; and no limit
        assert longest == pytest.approx(10) and math.isnan(limit)
    else:
        assert waits.max() <= limit + 1e-9 and limit == (batch.days or 0)


def test_a_day_with_and_without_requests():
    calls, mean, longest, _ = Batch(days=1).expect(math.log(2), 100)
    assert calls == pytest.approx(50) and mean == 0.5  # half of the days have no request
    assert longest == pytest.approx(2 - 1 / math.log(2))  # 1 - 1/r + 1/(e^r - 1)
    assert Batch(days=30).expect(1, 10)[1::2] == (5, 10)  # the stream ends before the period


def test_hours_by_hand():
    rates = {"retrain + REWEIGHT": Rate(10, 0.1, 900, 5), "fine-tune + REWEIGHT": Rate(1, 0.1, 90, 5)}
    assert rates["retrain + REWEIGHT"].seconds == 100 and rates["fine-tune + REWEIGHT"].seconds == 10
    hours = costs.hours_of(rates, pd.Series({"at once": 360.0}), 10)
    assert hours["at once"].tolist() == pytest.approx([10, 1, 1.9])  # 0.9 x 1 + 0.1 x 10
    assert hours.index[2] == "fine-tune + REWEIGHT, 1 in 10 retrained"
    assert len(costs.hours_of(rates, pd.Series({"at once": 360.0}), 1)) == 2


def test_time_stamps(tmp_path):
    file = tmp_path / "log.txt"
    file.write_text("2026-11-30T12:00\n\n2026-11-29 06:00\n2026-11-30T13:00+01:00\n")
    arrivals, days = costs.read_requests(file)
    assert arrivals.tolist() == [0.25, 1.5, 1.5] and days == 2
    wrong = accepted(
        lambda text: costs.read_requests(file if file.write_text(text) is not None else None),
        [
            ("", "holds no request: give at least one time stamp"),
            ("2026-11-30\nsoon\n", "line 2: 'soon' is not a time stamp, such as 2026-11-29T14:05"),
            ("12\n", "line 1: '12' is not a time stamp"),
        ],
    )
    assert not wrong, wrong
    with pytest.raises(gru.InputError, match="none.txt cannot be read"):
        costs.read_requests(tmp_path / "none.txt")


def test_bad_plans(capsys):
    stream = {"benchmark": "waterdigits_small", "requests_per_day": "1"}
    cases = [
        (
            {"requests_per_day": "0"},
            "--requests-per-day 0 is a stream without requests: give a number above 0",
        ),
        ({"requests_per_day": "-1"}, "--requests-per-day '-1' is not a rate"),
        ({"requests_per_day": "often"}, "--requests-per-day 'often' is not a rate"),
        ({"requests_per_day": None}, "name the stream once: --requests-per-day N, or --requests FILE"),
        ({"requests": "log.txt"}, "name the stream once"),
        ({"requests_per_day": None, "requests": "log.txt", "days": 3}, "--days is for --requests-per-day"),
        ({"days": 0}, "--days 0 is not a whole number of 1 or more"),
        ({"retrain_every": 0}, "--retrain-every 0 is not a whole number of 1 or more"),
        ({"ratio": ("0.1", "0.5")}, "--ratio: a plan is for one request"),
        ({"batch": ()}, "--batch needs when to serve"),
    ]
    wrong = accepted(lambda changes: gru.PlanOptions(**stream | changes), cases)
    wrong += accepted(
        Batch.parse, [(text, "neither a number of requests") for text in ("0", "x", "-2", "0d", "7w")]
    )
    assert not wrong, wrong
    words = "plan --benchmark waterdigits_small --requests-per-day 0".split()
    assert cli.main(words) == 2
    assert re.fullmatch("gru-lite: error: .* without requests: .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("method", ["retrain", *gru.METHODS])
def test_steps_are_those_that_are_made(people, method, monkeypatch):
    made = []
    monkeypatch.setattr(Training, "step", lambda self, *given: made.append(self) or step(self, *given))
    sampling = "none" if method in ("retrain", "gradient_ascent") else "replacement"
    options = gru.PlanOptions(**people, requests_per_day="1")
    run = Run(method, sampling, "0.4", 0)
    whole, bench, split = costs.checked(options, [run], progress=False)
    start = gru.build_model("mlp", 2, n_features=bench.train.features.shape[1])
    seconds = costs._call(whole, run, start, bench, split, 0)
    assert len(made) == costs.total_steps(run, split, whole.config(run)) > 0 and seconds > 0
    del made[:]
    costs._call(whole, run, start, bench, split, 3)
    assert len(made) == 3


def test_a_plan(people, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.txt").write_text("2026-11-29\n2026-11-30\n2026-12-03\n")
    before = sorted(tmp_path.iterdir())
    flags = [f"--{name} {value[0] if isinstance(value, tuple) else value}" for name, value in people.items()]
    words = f"plan {' '.join(flags)} --methods finetune --requests log.txt --batch 1 2d --retrain-every 2"
    assert cli.main(words.split()) == 0
    said = capsys.readouterr().out
    assert "\n3 requests of log.txt in 5 days:\n" in said
    assert "Check: fine-tune + REWEIGHT, a whole call: " in said
    assert max(map(len, said.splitlines())) < 90
    for row in ("retrain", "retrain + REWEIGHT", "fine-tune + REWEIGHT", "  1 in 2 retrained"):
        assert re.search(rf"^{re.escape(row)} +\d", said, re.MULTILINE), row
    assert re.search(r"^calls +3 +2$", said, re.MULTILINE)  # days 0, 1 and 4: served on days 2 and 4
    assert sorted(tmp_path.iterdir()) == before
