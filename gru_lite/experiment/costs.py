"""What unlearning will cost: rates measured on this machine, times a stream of requests.

The time of one call is taken apart into a fixed part (critics, masks, copies) and a part for each optimiser
step. A stream of requests is served in batches: each request at once, every N requests or every D days.
Between two retrainings a method may serve some of the batches.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import re
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from ..errors import DivergedError, InputError
from ..groups import ForgetSplit
from ..labels import label
from ..methods import base_of, method_names, retains
from ..methods.finetune import steps_of
from ..train import TrainConfig, predict
from ..train.parallel import world
from .options import PlanOptions
from .plan import Plan, checked, let_go
from .runs import call, fresh_model
from .store import Run

# Optimiser steps of the two short runs that give the rates, and how often each is timed.
SHORT, LONG, REPEATS = 10, 30, 3
CHECKED_BELOW = 60.0  # seconds: a call that should take less is made in full, and compared


@dataclass(frozen=True)
class Rate:
    """What one call of one way costs on this machine.

    Attributes:
        fixed: seconds beside the optimiser steps.
        per_step: seconds of an optimiser step.
        steps: optimiser steps of a call.
        memory: MB at the peak of a call, beyond what the process held before: of the GPU, or resident memory
            on Linux; NaN elsewhere.
    """

    fixed: float
    per_step: float
    steps: int
    memory: float

    @property
    def seconds(self) -> float:
        """Seconds of a whole call."""
        return self.fixed + self.steps * self.per_step


@dataclass(frozen=True)
class Costs:
    """What each way costs; times in seconds and hours, waits in days.

    Attributes:
        rates: {way: Rate}, "retrain + REWEIGHT" among them.
        batches: a row a batch: calls, mean wait, and for a Poisson stream the mean longest wait of a batch
            and the limit that no wait exceeds (NaN: none); for time stamps the longest wait of all.
        hours: a row a way, a column a batch: hours of computing over the whole stream.
        busy: the same as a share of the stream's time; above 1 the machine can't keep up.
        stream: the requests in words.
        checked: (way, predicted seconds, measured seconds) of one whole call; None: it would take too long,
            or it diverged.
    """

    rates: dict[str, Rate]
    batches: pd.DataFrame
    hours: pd.DataFrame
    busy: pd.DataFrame
    stream: str
    checked: tuple[str, float, float] | None

    @property
    def diverged(self) -> list[str]:
        """The ways that diverged, so that nothing is known of them."""
        return [way for way, rate in self.rates.items() if math.isnan(rate.seconds)]

    def __str__(self):
        lines = self._calls()
        if self.checked:
            way, predicted, measured = self.checked
            lines += [
                f"Check: {way}, a whole call: {predicted:.1f} s predicted, {measured:.1f} s measured "
                f"({100 * (predicted / measured - 1):+.0f}%)"
            ]
        else:
            others = "any other way" if self.diverged else "any way"
            lines += [f"No check: a whole call of {others} would take more than {CHECKED_BELOW:.0f} s."]
        return "\n".join([*lines, "", *self._stream()])

    def _calls(self):
        """The rates, a line a way."""
        first = max(map(len, self.rates)) + 2
        lines = [f"{'one call':<{first}}{'steps':>7}{'fixed, s':>10}{'s a step':>10}{'seconds':>10}{'MB':>8}"]
        for way, rate in self.rates.items():
            if math.isnan(rate.seconds):
                lines.append(f"{way:<{first}}{rate.steps:>7}  diverged")
                continue
            numbers = f"{rate.fixed:>10.2f}{rate.per_step:>10.4f}{rate.seconds:>10.1f}"
            memory = "n/a" if math.isnan(rate.memory) else f"{rate.memory:.0f}"
            lines.append(f"{way:<{first}}{rate.steps:>7}{numbers}{memory:>8}")
        return lines

    def _stream(self):
        """The batches and their costs, a column a batch."""
        names = list(self.batches.index)
        # The second row of a method stands below its first, and needs no name.
        rows = [re.sub(r".*, (1 in \d+ retrained)$", r"  \1", way) for way in self.hours.index]
        first = max(map(len, (*rows, *(f"{column}, days" for column in self.batches)))) + 2
        width = max(10, *map(len, names)) + 2
        lines = [self.stream, "", " " * first + "".join(f"{name:>{width}}" for name in names)]
        for column in self.batches:
            places, unit = (0, "") if column == "calls" else (1, ", days")
            texts = [
                "none" if math.isnan(value) else f"{value:,.{places}f}" for value in self.batches[column]
            ]
            cells = "".join(f"{text:>{width}}" for text in texts)
            lines.append(f"{column + unit:<{first}}{cells}")
        lines.append("hours of computing")
        for row, (way, values) in zip(rows, self.hours.iterrows(), strict=True):
            late = ["!" if self.busy.loc[way, name] > 1 else "" for name in names]
            hours = ["n/a" if math.isnan(value) else f"{value:,.2f}" for value in values]
            cells = [value + mark for value, mark in zip(hours, late, strict=True)]
            lines.append(f"{row:<{first}}" + "".join(f"{cell:>{width}}" for cell in cells))
        if (self.busy > 1).any(axis=None):
            lines.append("! more hours than the stream has: this machine can't keep up")
        return lines


def plan(options: PlanOptions) -> Costs:
    """Measure what a call costs here, and multiply by the requests to come.

    Args:
        options: PlanOptions.

    Returns:
        Costs. The waits leave out the computing itself, and a queue of calls.

    Raises:
        InputError: before anything is measured.
    """
    if world()[1] > 1:
        raise InputError("a plan measures one process: run it without torchrun")
    batches = options.batches
    if options.requests is not None:
        arrivals, days = options.arrivals
        served = [batch.serve(arrivals, days) for batch in batches]
        loads = [(len(calls), float(waits.mean()), float(waits.max())) for calls, waits in served]
        columns = ["calls", "mean wait", "longest wait"]
        stream = (
            f"{_count(len(arrivals), 'request')} of {Path(options.requests).name} in {_count(days, 'day')}:"
        )
    else:
        per_day, days = options.requests_per_day, options.days
        loads = [batch.expect(float(per_day), days) for batch in batches]
        columns = ["calls", "mean wait", "mean longest wait", "limit"]
        asked = f"{per_day} request{'s' * (per_day != '1')} a day"
        stream = f"{asked} for {_count(days, 'day')} (Poisson, expected values):"
    try:
        rates, checked_call = measure(options)
    finally:
        let_go()
    names = [str(batch) for batch in batches]
    table = pd.DataFrame(loads, index=names, columns=columns)
    hours = hours_of(rates, table["calls"], options.retrain_every, options.reweight[0])
    return Costs(rates, table, hours, hours / (24 * days), stream, checked_call)


def _count(number, noun):
    """A whole number with its noun: "1 day", "1,000 days"."""
    return f"{number:,.0f} {noun}{'s' * (number != 1)}"


def hours_of(rates: dict[str, Rate], calls: pd.Series, retrain_every: int, sampling: str) -> pd.DataFrame:
    """Return hours of computing: a row a way, a column a batch.

    Args:
        rates: {way: Rate}; the retrainings among them begin with "retrain".
        calls: of each batch over the whole stream.
        retrain_every: k; each method has a second row, in which one call in k is a retraining with REWEIGHT.
        sampling: how REWEIGHT samples in that retraining.
    """
    exact = rates[label("retrain", sampling)].seconds
    rows = {}
    for way, rate in rates.items():
        rows[way] = calls * rate.seconds / 3600
        if not way.startswith("retrain") and retrain_every > 1:
            mixed = (1 - 1 / retrain_every) * rate.seconds + exact / retrain_every
            rows[f"{way}, 1 in {retrain_every} retrained"] = calls * mixed / 3600
    return pd.DataFrame(rows).T


def measure(options: PlanOptions) -> tuple[dict[str, Rate], tuple[str, float, float] | None]:
    """Return {way: Rate} of retraining with and without REWEIGHT and of the methods, and a check of one."""
    sampling, ratio, seed = options.reweight[0], (options.ratio or (None,))[0], options.first_seed
    samplings = {m: sampling if retains(m) else "none" for m in options.methods}
    ways = [("retrain", "none"), ("retrain", sampling), *samplings.items()]
    runs = [Run(*way, ratio, seed) for way in ways]
    whole, bench, split = checked(options, runs, progress=False)
    start = fresh_model(whole, bench.train, seed)
    names = [label(run.method, run.sampling) for run in runs]
    rates = dict(zip(names, _rates(whole, runs, start, bench, split), strict=True))
    # The first method, or retraining where there is none: none that diverges, and none that takes long.
    for run in [*runs[2:], runs[1]]:
        name = label(run.method, run.sampling)
        if not rates[name].seconds < CHECKED_BELOW:
            continue
        try:
            return rates, (name, rates[name].seconds, _call(whole, run, start, bench, split, 0))
        except DivergedError:  # after the few steps of the rates
            rates[name] = replace(rates[name], fixed=math.nan, per_step=math.nan, memory=math.nan)
    return rates, None


def total_steps(run: Run, split: ForgetSplit, config: TrainConfig) -> int:
    """Return the optimiser steps of a whole call."""
    if base_of(run.method) in method_names() and not retains(run.method):
        main, _ = config.limited(-(-len(split.forget) // config.batch_size))
        return round(config.epochs * main)
    main, beside = steps_of(split, config)
    return round(
        config.epochs * main + min(config.epochs, getattr(config, "forget_epochs", config.epochs)) * beside
    )


def _rates(whole: Plan, runs: list[Run], start, bench, split) -> list[Rate]:
    """The rate of each way, from calls with few steps and with more; all else in them is as in a whole call.

    The ways take turns: what else the machine does meets all of them.
    """
    steps = [total_steps(run, split, whole.config(run)) for run in runs]
    long = [min(LONG, n) for n in steps]
    short = [min(SHORT, max(1, n // 4)) for n in long]
    times, peaks = [([], []) for _ in runs], [math.nan] * len(runs)
    for turn in range(1 + REPEATS):
        for k, run in enumerate(runs):
            if times[k] is None:
                continue
            try:
                few = _call(whole, run, start, bench, split, short[k])
                if turn == 0:  # puts the data on the device, and warms up
                    with peak_memory() as peak:
                        _call(whole, run, start, bench, split, long[k])
                    peaks[k] = peak[0]
                else:
                    many = _call(whole, run, start, bench, split, long[k])
                    times[k][0].append(few)
                    times[k][1].append(many)
            except DivergedError:
                times[k] = None
    looks = 0.0
    if whole.weights:  # large models are looked at on validation after every epoch of a retraining
        begun = time.perf_counter()
        predict(start, bench.val)
        looks = time.perf_counter() - begun
    rates = []
    for k, run in enumerate(runs):
        if times[k] is None:
            rates.append(Rate(math.nan, math.nan, steps[k], math.nan))
            continue
        low, high = map(statistics.median, times[k])
        per_step = max(0.0, (high - low) / max(1, long[k] - short[k]))
        fixed = max(0.0, high - long[k] * per_step)
        fixed += (run.method == "retrain") * whole.config(run).epochs * looks
        rates.append(Rate(fixed, per_step, steps[k], peaks[k]))
    return rates


def _call(whole: Plan, run: Run, start, bench, split, steps: int) -> float:
    """Seconds of one call with so many steps; 0: with all of them."""
    config = whole.config(run)
    config = replace(config, steps=steps or config.steps)
    return call(whole, run, config, start, bench, split).training_seconds


@contextlib.contextmanager
def peak_memory():
    """Yield a list that holds, at the end, the MB at the peak beyond those at the beginning; NaN: unknown."""
    peak = [math.nan]
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield peak
        peak[0] = (torch.cuda.max_memory_allocated() - before) / 1e6
        return
    before = _resident("VmRSS", reset=True)
    yield peak
    peak[0] = (_resident("VmHWM") - before) / 1e3


def _resident(field, reset=False):
    """A line of Linux's /proc/self/status in kB, NaN elsewhere; `reset` forgets the peak so far."""
    try:
        if reset:
            ctypes.CDLL("libc.so.6").malloc_trim(0)  # else memory that was freed counts as held
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except (OSError, AttributeError):
        return math.nan
    return float(re.search(rf"{field}:\s+(\d+) kB", status)[1])
