"""Counts of a server, and their text for Prometheus. Counting costs a dictionary entry, never a lock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from time import monotonic, time
from typing import Any

from seamless.services.common.idle import IdleClock
from seamless.services.common.service import Service

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # seconds


class Metrics:
    """What is counted of every request. Used in one thread."""

    def __init__(self) -> None:
        self.started, self.started_at = monotonic(), time()
        self.answers: dict[tuple[str, int], int] = {}  # by method and status
        self.seconds = 0.0
        self.sent = 0
        self._buckets = [0] * (len(_BOUNDS) + 1)

    def count(self, method: str, status: int, seconds: float, sent: int) -> None:
        """Count one answer of `sent` bytes."""
        key = (method, status)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.seconds += seconds
        self.sent += sent
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1

    @property
    def requests(self) -> int:
        """How many requests have been answered."""
        return sum(self.answers.values())

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulated histogram of the durations."""
        total, result = 0, []
        for bound, n in zip((*map(str, _BOUNDS), "+Inf"), self._buckets, strict=True):
            total += n
            result.append((bound, float(total)))
        return result


def exposition(name: str, metrics: Metrics, clock: IdleClock, service: Service) -> bytes:
    """Return the text for Prometheus. Raises MissingDependencyError."""
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    except ImportError:
        from seamless.errors import MissingDependencyError

        raise MissingDependencyError("prometheus-client", extra="services", purpose="/metrics") from None
    registry = CollectorRegistry()
    registry.register(_Collector(name, metrics, clock, service.metrics()))
    ProcessCollector(registry=registry)
    text: bytes = generate_latest(registry)
    return text


class _Collector:
    """Gives the counts to prometheus_client."""

    def __init__(self, name: str, metrics: Metrics, clock: IdleClock, more: Iterable[tuple[str, str, str, float]]):
        self.prefix = name.replace("-", "_")
        self.prefix = self.prefix if self.prefix.startswith("seamless_") else f"seamless_{self.prefix}"
        self.metrics, self.clock, self.more = metrics, clock, more

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        m = self.metrics
        answers = CounterMetricFamily(f"{self.prefix}_requests", "Answered requests.", labels=["method", "status"])
        for (method, status), n in m.answers.items():
            answers.add_metric([method, str(status)], n)
        yield answers
        duration = HistogramMetricFamily(f"{self.prefix}_request_seconds", "Time from request to end of answer.")
        duration.add_metric([], m.buckets(), m.seconds)
        yield duration
        yield CounterMetricFamily(f"{self.prefix}_sent_bytes", "Bytes of answers, without headers.", m.sent)
        yield GaugeMetricFamily(f"{self.prefix}_requests_in_progress", "Requests in progress.", self.clock.in_progress)
        yield GaugeMetricFamily(f"{self.prefix}_idle_seconds", "Time since the last request.", self.clock.idle())
        kinds: dict[str, Any] = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
        for name, kind, text, value in self.more:
            yield kinds[kind](f"{self.prefix}_{name}", text, value)
