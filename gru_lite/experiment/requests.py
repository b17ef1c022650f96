"""Streams of requests: when they come, how they are served in batches, and how long people wait."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np

from ..errors import InputError

MOST = {"requests": 1e9, "days": 36_500}  # of a batch
DATE = re.compile(r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}(?![0-9])")  # what a time stamp begins with


@dataclass(frozen=True)
class Batch:
    """When requests are served together.

    Attributes:
        requests: as soon as there are so many; None: by the calendar.
        days: at the end of every period of so many days; None: by number.
    """

    requests: int | None = None
    days: float | None = None

    @classmethod
    def parse(cls, text: str) -> Batch:
        """Read "10" as ten requests, and "7d" as seven days."""
        found = re.fullmatch(r"([0-9]+)|([0-9]+(?:\.[0-9]+)?)d", str(text).strip())
        if not found or float(found[1] or found[2]) == 0:
            raise InputError(
                f"--batch {text!r} is neither a number of requests, such as 10, nor of days, such as 7d"
            )
        unit = "requests" if found[1] else "days"
        if float(found[1] or found[2]) > MOST[unit]:
            raise InputError(f"--batch {str(text):.20} is more than {MOST[unit]:,.0f} {unit}")
        if unit == "days" and float(found[2]) < 0.001:
            raise InputError(f"--batch {str(text):.20} is less than 0.001 days")
        return cls(int(found[1])) if found[1] else cls(days=float(found[2]))

    def __str__(self):
        if self.days is not None:
            return f"{self.days:.15g} days" if self.days != 1 else "daily"
        return f"{self.requests} requests" if self.requests > 1 else "at once"

    def serve(self, arrivals: Sequence[float], days: float) -> tuple[np.ndarray, np.ndarray]:
        """Serve a stream.

        Args:
            arrivals: (n,) days since the beginning, ascending, in [0, days].
            days: length of the stream. What still waits then is served then.

        Returns:
            (n_calls,) days at which a batch is served, and (n,) how many days each request waited for that.
        """
        arrivals = np.asarray(arrivals, dtype=np.float64)
        if self.days is not None:
            served = np.ceil(arrivals / self.days).clip(1) * self.days
        else:
            last = np.arange(len(arrivals)) // self.requests * self.requests + self.requests - 1
            served = np.append(arrivals, np.inf)[np.minimum(last, len(arrivals))]
        served = np.minimum(served, days)
        if self.days is None and len(arrivals):  # two batches of one moment are two calls
            calls = served[:: self.requests]
        else:
            calls = np.unique(served)
        return calls, np.maximum(served - arrivals, 0)  # a product may be rounded to below the arrival

    def expect(self, per_day: float, days: float) -> tuple[float, float, float, float]:
        """Return the expected (calls, mean wait, mean longest wait, limit) of a Poisson stream; in days.

        What still waits at the end of the stream is served then, as in `serve`. The mean wait is over the
        requests. The third is the longest wait in a batch, on average over the batches. No wait exceeds the
        limit; it is NaN where batches by number have none but the end of the stream.
        """
        if self.days is not None:
            return self._expect_by_calendar(per_day, days)
        # Given n requests, their times are n ordered uniform ones: the gaps have the mean days / (n + 1).
        n, probability = _poisson(per_day * days)
        full, rest = np.divmod(n, self.requests)
        gap = days / (n + 1)
        # In a full batch the last waits for no gap, and the first for N - 1; at the end of the stream, the
        # last waits for one gap, and the first for as many as there are requests.
        waits = gap * (full * self.requests * (self.requests - 1) / 2 + rest * (rest + 1) / 2)
        longest = gap * (full * (self.requests - 1) + rest)
        calls = float(probability @ (full + (rest > 0)))
        limit = 0.0 if self.requests == 1 else math.nan
        return (
            calls,
            float(probability @ waits) / (per_day * days),
            float(probability @ longest) / calls,
            limit,
        )

    def _expect_by_calendar(self, per_day, days):
        """The same for the full periods of a stream and the rest of one."""
        period = min(self.days, days)
        full, rest = divmod(days, period)
        calls = longest = 0.0
        for number, length in ((full, period), (1, rest)):
            asked = -math.expm1(-per_day * length)  # the probability of a request in it
            calls += number * asked
            # The first request comes after an exponential time, if it comes in the period.
            longest += number * (length - asked / per_day)
        return calls, (full * period**2 + rest**2) / (2 * days), longest / calls, period


def _poisson(mean):
    """(m,) numbers of requests and their probabilities; those that are left out have less than 1e-14."""
    low = max(0, math.floor(mean - 8 * math.sqrt(mean)))
    n = np.arange(low, math.ceil(mean + 8 * math.sqrt(mean)) + 30, dtype=np.float64)
    logs = np.append(0.0, np.cumsum(np.log(mean / n[1:])))  # relative to the first
    probability = np.exp(logs - logs.max())
    return n, probability / probability.sum()


def read_requests(file: str | Path) -> tuple[np.ndarray, float]:
    """Read time stamps, one a line, such as 2026-11-29 or 2026-11-29T14:05.

    Either all of them have an offset from UTC, such as 2026-11-29T14:05+01:00, or none has. With offsets,
    days begin at midnight UTC.

    Returns:
        (n,) days since the first midnight, ascending, and the length of the stream, whole days.

    Raises:
        InputError: there is no such file, no request in it, a line that is no time stamp, or one with an
            offset among others without.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        raise InputError(
            f"--requests {file} cannot be read: give a text file with a time stamp a line"
        ) from None
    stamps = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        stamp = _stamp(text)
        if stamp is None:
            raise InputError(
                f"--requests {file} line {number}: {text!r:.60} is not a time stamp, such as 2026-11-29T14:05"
            )
        if stamps and (stamp.tzinfo is None) != (stamps[0].tzinfo is None):
            raise InputError(
                f"--requests {file} line {number}: {text!r} and the lines before differ in whether they have "
                "an offset from UTC: give all of them one, or none"
            )
        stamps.append(stamp)
    if not stamps:
        raise InputError(f"--requests {file} holds no request: give at least one time stamp")
    stamps.sort()
    midnight = datetime.combine(stamps[0], time(), stamps[0].tzinfo)
    arrivals = np.array([(stamp - midnight) / timedelta(days=1) for stamp in stamps])
    return arrivals, float(math.floor(arrivals[-1]) + 1)


def _stamp(text):
    """The time stamp in ISO 8601, in UTC if it has an offset; None if it is none."""
    if not DATE.match(text):
        return None
    try:
        stamp = datetime.fromisoformat(text)
        return stamp.astimezone(UTC) if stamp.tzinfo else stamp
    except (ValueError, OverflowError):
        return None
