"""What the service counts, in Prometheus's words; names after Triton's.

    clickmask_request_total{route,method,status,code}   every request answered or given up
    clickmask_request_duration_us{route}                from its arrival to the last byte of its answer
    clickmask_inference_...{kind="encode"|"decode"|"search"}   count / exec_count is the mean batch
    clickmask_cache_...{store="images"|"pixels"|"masks"}

Every label has a small set of values: no client can make up a new series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .shelf import Counts

Kind = Literal["encode", "decode", "search"]
Store = Literal["images", "pixels", "masks"]
Failure = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]

UNKNOWN_ROUTE = "unknown"
_MODEL_ROUTES = ("/v1/images", "/v1/segment")
_FAILURES: dict[int, Failure] = {
    409: "CANCELED",
    429: "REJECTED",
    499: "CANCELED",
    500: "BACKEND",
    503: "REJECTED",
    504: "REJECTED",
}
_STORE_FIGURES = (
    ("bytes", "Bytes that are remembered.", "size", GaugeMetricFamily),
    ("entries", "Entries that are remembered.", "things", GaugeMetricFamily),
    ("num_hits", "Look-ups that found their entry.", "hits", CounterMetricFamily),
    ("num_misses", "Look-ups in vain.", "misses", CounterMetricFamily),
    ("num_evictions", "Entries forgotten to make room.", "evictions", CounterMetricFamily),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATIONS_US = (1e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 1e6, 5e6, 3e7)
_QUEUE_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Metrics:
    """One per process; safe to use from every thread. All times are given in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_requests()
        self._add_inference()
        self._add_stores()
        self._add_accidents()
        self._start_at_zero()

    def _add_requests(self) -> None:
        labels = ("route", "method", "status", "code")
        self._requests = self._counter("request", "Requests, by their answer.", labels)
        self._durations = self._histogram("request_duration_us", "Microseconds a request took.", "route", _DURATIONS_US)
        self._ready = self._gauge("ready", "1 when new requests are welcome, else 0.")

    def _add_inference(self) -> None:
        self._count = self._counter("inference_count", "Images encoded, objects decoded, steps of searches.", ("kind",))
        self._passes = self._counter("inference_exec_count", "Passes through the network.", ("kind",))
        text = "Microseconds that requests waited for the device, added up."
        self._queued = self._counter("inference_queue_duration_us", text, ("kind",))
        text = "Microseconds that requests were computed on the device, added up."
        self._computed = self._counter("inference_compute_infer_duration_us", text, ("kind",))
        text = "Seconds a request waited for the device."
        self._waits = self._histogram("inference_queue_seconds", text, "kind", _QUEUE_SECONDS)
        self._successes = self._counter("inference_request_success", "Requests to the model that succeeded.")
        self._failures = self._counter("inference_request_failure", "Requests to the model that failed.", ("reason",))
        self._pending = self._gauge("inference_pending_request_count", "Requests admitted and not yet answered.")
        self._queue_bytes = self._gauge("queue_bytes", "Bytes that admitted requests hold.")

    def _add_stores(self) -> None:
        self._stores: dict[Store, Callable[[], Counts]] = {}
        self.registry.register(_Stores(self._stores))

    def _add_accidents(self) -> None:
        self._oom = self._counter("oom", "Times the device ran out of memory.")
        self._restarts = self._counter("decoder_restarts", "Image decoders that were replaced.", ("reason",))
        self._hovers = self._gauge("hover_dropped_total", "Hovers dropped: a newer one came, or it came too late.")

    def _start_at_zero(self) -> None:
        """A series that is there before its first event shows that event as a rise."""
        for kind in get_args(Kind):
            for counter in (self._count, self._passes, self._queued, self._computed):
                counter.labels(kind)
        for reason in get_args(Failure):
            self._failures.labels(reason)

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"clickmask_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"clickmask_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, label: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"clickmask_{name}", text, (label,), registry=self.registry, buckets=buckets)

    def answered(self, *, route: str | None, method: str, status: int, code: str | None, seconds: float) -> None:
        """A request is over. route: the template of its path, None where no route matched; code: an ApiError's."""
        route = route or UNKNOWN_ROUTE
        method = method if method in _METHODS else "OTHER"
        self._requests.labels(route, method, str(status), code or "").inc()
        self._durations.labels(route).observe(seconds * 1e6)
        if method == "POST" and route.startswith(_MODEL_ROUTES):
            self._judge(status)

    def _judge(self, status: int) -> None:
        """Triton's view of a request that needed the model."""
        if status < 300:
            self._successes.inc()
        else:
            self._failures.labels(_FAILURES.get(status, "OTHER")).inc()

    def encoded(self, count: int, waits: Iterable[float], compute: float) -> None:
        """One pass encoded `count` images for requests that had waited `waits`; it took `compute`."""
        self._executed("encode", count, waits, compute)

    def decoded(self, count: int, waits: Iterable[float], compute: float) -> None:
        """One pass decoded `count` objects for requests that had waited `waits`; it took `compute`."""
        self._executed("decode", count, waits, compute)

    def searched(self, count: int, waits: Iterable[float], compute: float) -> None:
        """`count` steps of searches for everything, after `waits`; they took `compute`."""
        self._executed("search", count, waits, compute)

    def _executed(self, kind: Kind, count: int, waits: Iterable[float], compute: float) -> None:
        self._count.labels(kind).inc(count)
        self._passes.labels(kind).inc()
        for wait in waits:
            self._queued.labels(kind).inc(wait * 1e6)
            self._waits.labels(kind).observe(wait)
            self._computed.labels(kind).inc(compute * 1e6)

    def ran_out_of_memory(self) -> None:
        """The device did."""
        self._oom.inc()

    def decoder_restarted(self, reason: str) -> None:
        """A decoder of images was replaced; reason: "crash", "timeout" or "memory"."""
        self._restarts.labels(reason).inc()

    def watch_queue(self, pending: Callable[[], float], held: Callable[[], float]) -> None:
        """Where to read, at every scrape, the requests admitted and the bytes they hold."""
        self._pending.set_function(pending)
        self._queue_bytes.set_function(held)

    def watch_store(self, store: Store, counts: Callable[[], Counts]) -> None:
        """Where to read what a store holds and has seen."""
        self._stores[store] = counts

    def watch_hovers(self, dropped: Callable[[], int]) -> None:
        """Where to read how many hovers were dropped."""
        self._hovers.set_function(dropped)

    def watch_ready(self, ready: Callable[[], bool]) -> None:
        """Where to read whether new requests are welcome."""
        self._ready.set_function(ready)

    def render(self) -> tuple[bytes, str]:
        """The text of /metrics, and its content type."""
        return generate_latest(_Ageless(self.registry)), CONTENT_TYPE_LATEST


class _Stores(Collector):
    """The stores' own counts, read at every scrape."""

    def __init__(self, stores: Mapping[Store, Callable[[], Counts]]) -> None:
        self._stores = stores

    def collect(self) -> Iterator[Metric]:
        counts = {store: read() for store, read in self._stores.items()}
        for name, text, field, family in _STORE_FIGURES:
            metric = family(f"clickmask_cache_{name}", text, labels=("store",))
            for store, count in counts.items():
                metric.add_metric((store,), getattr(count, field))
            yield metric


class _Ageless(CollectorRegistry):
    """A registry without the moment each series was born, which would double their number."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._all = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._all.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
