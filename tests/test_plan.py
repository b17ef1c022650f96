"""`gru-lite plan`: streams of requests against closed forms, and rates against counted steps."""

import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import accepted

import gru_lite as gru
from gru_lite import cli
from gru_lite.experiment import costs
from gru_lite.experiment import plan as planning
from gru_lite.experiment.costs import Rate
from gru_lite.experiment.requests import Batch, read_requests
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


def words_of(people, more):
    """The words of a command about these people."""
    flags = [f"--{name} {value[0] if isinstance(value, tuple) else value}" for name, value in people.items()]
    return f"plan {' '.join(flags)} {more}".split()


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
    assert (
        (waits >= 0).all() and len(waits) == len(arrivals) and np.isin(served.round(9), calls.round(9)).all()
    )
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
        assert longest == pytest.approx(10, rel=0.01) and math.isnan(limit)
    else:
        assert waits.max() <= limit + 1e-9 and limit == (batch.days or 0)


@pytest.mark.parametrize(
    ("batch", "per_day", "days"),
    [
        (Batch(days=10.0), 0.7, 12),  # the stream ends in the second period
        (Batch(days=360.0), 0.05, 365),
        (Batch(10), 0.01, 365),  # hardly ever ten requests
        (Batch(5), 0.03, 365),  # about two batches
        (Batch(1), 0.01, 365),
    ],
    ids=str,
)
def test_expected_costs_of_a_short_stream(batch, per_day, days):
    rng, calls, waits, longest = np.random.default_rng(2), [], [], []
    for n in rng.poisson(per_day * days, 10_000):
        arrivals = np.sort(rng.uniform(0, days, n))
        served, waited = batch.serve(arrivals, days)
        calls.append(len(served))
        waits.append(waited)
        if n:  # the first of each batch waits longest
            first = np.append(True, np.diff(arrivals + waited) > 1e-9)
            longest.append(waited[first])
    expected = batch.expect(per_day, days)
    assert np.mean(calls) == pytest.approx(expected[0], rel=0.03)
    assert np.concatenate(waits).mean() == pytest.approx(expected[1], rel=0.03, abs=1e-12)
    assert np.concatenate(longest).mean() == pytest.approx(expected[2], rel=0.03, abs=1e-12)


def test_the_end_of_a_stream_by_hand():
    calls, mean, _, limit = Batch(days=30).expect(3, 365)  # twelve periods, and five days
    assert calls == pytest.approx(13, abs=1e-5) and limit == 30
    assert mean == pytest.approx((12 * 30**2 + 5**2) / (2 * 365))
    calls, mean, longest, _ = Batch(10).expect(0.01, 365)  # all wait for the end, nearly always
    assert calls == pytest.approx(1 - math.exp(-3.65), rel=0.002)
    assert mean == pytest.approx(365 / 2, rel=0.01) and longest < 365
    for mean_number in (0.001, 0.7, 12, 900):  # half of the mean, and a half more if it is odd
        odd = -math.expm1(-2 * mean_number) / 2
        assert Batch(2).expect(mean_number / 10, 10)[0] == pytest.approx(mean_number / 2 + odd / 2)
    # With many requests, any number from 0 to 9 of them is as likely to be left at the end.
    assert Batch(10).expect(1000, 1000)[0] == pytest.approx(1e5 + 0.45, abs=1e-4)
    assert Batch(1_000_000_000).expect(1e6, 36_500)[0] == pytest.approx(37, abs=1e-3)  # 36.5


def test_no_wait_is_negative():
    arrivals = np.arange(1, 3650) * 0.1  # each at the end of a period, but for rounding
    for days in (0.1, 0.3, 0.7):
        assert Batch(days=days).serve(arrivals, 365)[1].min() >= 0


def test_a_day_with_and_without_requests():
    calls, mean, longest, _ = Batch(days=1).expect(math.log(2), 100)
    assert calls == pytest.approx(50) and mean == 0.5  # half of the days have no request
    assert longest == pytest.approx(2 - 1 / math.log(2))  # 1 - 1/r + 1/(e^r - 1)
    assert Batch(days=30).expect(1, 10)[1::2] == (5, 10)  # the stream ends before the period


def test_hours_by_hand():
    rates = {"retrain + REWEIGHT": Rate(10, 0.1, 900, 5), "fine-tune + REWEIGHT": Rate(1, 0.1, 90, 5)}
    assert rates["retrain + REWEIGHT"].seconds == 100 and rates["fine-tune + REWEIGHT"].seconds == 10
    hours = costs.hours_of(rates, pd.Series({"at once": 360.0}), 10, "replacement")
    assert hours["at once"].tolist() == pytest.approx([10, 1, 1.9])  # 0.9 x 1 + 0.1 x 10
    assert hours.index[2] == "fine-tune + REWEIGHT, 1 in 10 retrained"
    assert len(costs.hours_of(rates, pd.Series({"at once": 360.0}), 1, "replacement")) == 2


def test_time_stamps(tmp_path):
    file = tmp_path / "log.txt"
    file.write_text("2026-11-30T12:00\n\n20261129 06:00\n 2026-11-30 13:30:00.5\n")
    arrivals, days = read_requests(file)
    assert arrivals.tolist() == [0.25, 1.5, pytest.approx(1.5625 + 0.5 / 86400)] and days == 2
    file.write_text("2026-11-30T00:30+01:00\n2026-11-30T12:00Z\n", encoding="utf-8-sig")
    arrivals, days = read_requests(file)  # the first is of 23:30 the day before, in UTC
    assert arrivals.tolist() == [pytest.approx(23.5 / 24), 1.5] and days == 2
    file.write_text("2026-11-29\n")
    assert read_requests(file) == ([0], 1)
    no_stamps = (
        "now today 12:30 5am May -5 2026.5 12 2026 1/2/2026 2026-13-01 2026-W01-1 2026-11-29x 2026-1101"
    )
    cases = [(text, f"line 1: '{text}' is not a time stamp, such as") for text in no_stamps.split()]
    cases += [
        ("", "holds no request: give at least one time stamp"),
        ("2026-11-30\nsoon\n", "line 2: 'soon' is not a time stamp, such as 2026-11-29T14:05"),
        ("0001-01-01T00:00+05:00", "is not a time stamp"),
        ("2026-11-30\n2026-11-30T12:00Z\n", "line 2: .* differ in whether they have an offset from UTC"),
    ]
    wrong = accepted(lambda text: read_requests(file if file.write_text(text) is not None else None), cases)
    assert not wrong, wrong
    with pytest.raises(gru.InputError, match="none.txt cannot be read"):
        read_requests(tmp_path / "none.txt")
    file.write_bytes(b"\xff\xfe2\x000\x00")
    with pytest.raises(gru.InputError, match="cannot be read: give a text file"):
        read_requests(file)


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
        ({"reweight": ("replacement", "top_up")}, "--reweight: a plan samples in one way"),
        ({"batch": ("1", "1")}, "--batch 1 is named twice"),
        ({"batch": ("7", "7d", "007")}, "--batch 007 is named twice"),
        ({"batch": ("7d", "7.0d")}, "--batch 7.0d is named twice"),
        ({"batch": ("1", "x")}, "--batch 'x' is neither"),
        ({"requests_per_day": None, "requests": "none.txt"}, "--requests none.txt cannot be read"),
        ({"requests_per_day": [3]}, "is not a rate"),
        ({"requests_per_day": "1e308"}, "--requests-per-day 1e308 is outside 0.000001 to 1,000,000"),
        ({"requests_per_day": "inf"}, "is not a rate"),
        ({"requests_per_day": "1e-9"}, "is outside 0.000001"),
        ({"days": 10**400}, "--days .* is more than 36,500"),
    ]
    wrong = accepted(lambda changes: gru.PlanOptions(**stream | changes), cases)
    wrong += accepted(
        Batch.parse,
        [(text, "neither a number of requests") for text in ("0", "x", "-2", "0d", "7w", "\u0667", "1e3")],
    )
    cases = [("9" * 5000, "more than 1,000,000,000 requests"), ("9" * 400 + "d", "more than 36,500 days")]
    wrong += accepted(Batch.parse, [*cases, ("0.0001d", "less than 0.001 days")])
    assert not wrong, wrong
    words = "plan --benchmark waterdigits_small --requests-per-day 0".split()
    assert cli.main(words) == 2
    assert re.fullmatch("gru-lite: error: .* without requests: .*\n", capsys.readouterr().err)


def test_a_rate_is_said_as_it_was_given():
    for text, kept in (("123456.789", "123456.789"), ("3.0", "3"), (0.1, "0.1"), (3, "3"), ("1e2", "100")):
        assert gru.PlanOptions(benchmark="waterdigits", requests_per_day=text).requests_per_day == kept


@pytest.mark.parametrize("method", ["retrain", *gru.METHODS, "miu:released", "miu:no_calibration"])
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
    more = "--methods finetune --requests log.txt --batch 1 2d --retrain-every 2 --reweight top_up"
    assert cli.main(words_of(people, more)) == 0
    said = capsys.readouterr().out
    assert "\n3 requests of log.txt in 5 days:\n" in said
    assert "Check: fine-tune + REWEIGHT, a whole call: " in said
    assert max(map(len, said.splitlines())) < 90
    for row in ("retrain", "retrain + REWEIGHT", "fine-tune + REWEIGHT", "  1 in 2 retrained"):
        assert re.search(rf"^{re.escape(row)} +\d", said, re.MULTILINE), row
    assert re.search(r"^calls +3 +2$", said, re.MULTILINE)  # days 0, 1 and 4: served on days 2 and 4
    assert sorted(tmp_path.iterdir()) == before
    assert not planning._loaded  # the data are let go of


def fails(monkeypatch, of_method, error):
    """Let the whole calls of a method fail, but not the short ones."""
    whole = costs._call

    def call(plan, run, *rest):
        if run.method == of_method and rest[-1] == 0:
            raise error
        return whole(plan, run, *rest)

    monkeypatch.setattr(costs, "_call", call)


def test_a_method_that_diverges_late(people, capsys, monkeypatch):
    fails(monkeypatch, "finetune", gru.DivergedError("not finite"))
    words = words_of(people, "--methods finetune --requests-per-day 1 --days 1 --batch 1")
    assert cli.main(words) == 1
    said = capsys.readouterr()
    assert re.search(r"^fine-tune \+ REWEIGHT +\d+ +diverged$", said.out, re.MULTILINE)
    assert re.search(r"^fine-tune \+ REWEIGHT +n/a$", said.out, re.MULTILINE)
    assert "Check: retrain + REWEIGHT, a whole call: " in said.out
    assert "\n1 request a day for 1 day (Poisson" in said.out
    assert said.err == "gru-lite: fine-tune + REWEIGHT diverged\n"


def test_a_plan_keeps_nothing_and_says_so(people, capsys, monkeypatch):
    words = words_of(people, "--methods finetune --requests-per-day 1")
    fails(monkeypatch, "finetune", KeyboardInterrupt())
    assert cli.main(words) == 130 and not planning._loaded
    assert capsys.readouterr().err == "gru-lite: interrupted: a plan keeps nothing\n"
    fails(monkeypatch, "finetune", OSError("no memory"))
    assert cli.main(words) == 1 and not planning._loaded
    assert "a plan keeps nothing, and the same command begins again\n" in capsys.readouterr().err
    monkeypatch.setattr(costs, "world", lambda: (0, 2))
    assert cli.main(words) == 2
    assert "a plan measures one process: run it without torchrun" in capsys.readouterr().err


def test_a_bad_stream_does_not_wait_for_torch(tmp_path):
    (tmp_path / "log.txt").write_text("soon\n")
    plan = ["plan", "--benchmark", "waterdigits"]
    for words, said in (
        (["--requests-per-day", "1", "--batch", "7w"], "--batch '7w' is neither"),
        (["--requests", str(tmp_path / "log.txt")], "line 1: 'soon' is not a time stamp"),
    ):
        code = f"import sys, gru_lite.cli as c; c.main({plan + words!r}); sys.exit('torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and said in done.stderr, done.stderr


def test_the_recorded_stream_counts_its_steps():
    """15 epochs in batches of 64 of what is left of 4000 images, and calls of a sixth of the last ones."""
    streams, _ = gru.read_record("waterdigits_stream")
    steps = streams.groupby("way")["steps"].unique()
    assert steps["reference"].tolist() == [15 * math.ceil((4000 - 162) / 64)] == [900]
    assert steps["retrain at 5"].tolist() == [15 * math.ceil((4000 - 82) / 64) + 5 * 150] == [1680]
