"""The counters and their text."""

from __future__ import annotations

import random
import string

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clickmask.service.http.metrics import Metrics
from clickmask.service.http.shelf import Shelf


def _samples(metrics: Metrics) -> dict[str, float]:
    """All series by name and labels, as a scraper reads them: {'clickmask_oom_total': 1.0}."""
    text, kind = metrics.render()
    assert kind.startswith("text/plain; version=")
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_request_counts_under_its_route_method_status_and_code() -> None:
    metrics = Metrics()
    metrics.answered(route="/v1/images", method="POST", status=413, code="body_too_large", seconds=0.002)
    metrics.answered(route="/v1/images", method="POST", status=201, code=None, seconds=0.04)
    samples = _samples(metrics)
    assert samples["clickmask_request_total body_too_large POST /v1/images 413"] == 1
    assert samples["clickmask_request_total  POST /v1/images 201"] == 1
    assert samples["clickmask_request_duration_us_sum /v1/images"] == pytest.approx(42_000)
    assert samples["clickmask_request_duration_us_bucket 5000.0 /v1/images"] == 1


def test_count_over_exec_count_is_the_mean_batch() -> None:
    metrics = Metrics()
    metrics.encoded(1, [0.0], 0.5)
    metrics.encoded(3, [0.1, 0.2, 0.3], 0.5)
    samples = _samples(metrics)
    assert (
        samples["clickmask_inference_count_total encode"] / samples["clickmask_inference_exec_count_total encode"] == 2
    )
    assert samples["clickmask_inference_queue_duration_us_total encode"] == pytest.approx(600_000)
    assert samples["clickmask_inference_compute_infer_duration_us_total encode"] == pytest.approx(2_000_000)
    assert samples["clickmask_inference_queue_seconds_count encode"] == 4
    assert samples["clickmask_inference_count_total decode"] == 0
    metrics.decoded(5, [0.0], 0.01)
    assert _samples(metrics)["clickmask_inference_count_total decode"] == 5


def test_every_accident_has_its_counter() -> None:
    metrics = Metrics()
    metrics.ran_out_of_memory()
    metrics.decoder_restarted("crash")
    samples = _samples(metrics)
    assert samples["clickmask_oom_total"] == 1
    assert samples["clickmask_decoder_restarts_total crash"] == 1


@pytest.mark.parametrize(
    "status, reason",
    [(409, "CANCELED"), (499, "CANCELED"), (429, "REJECTED"), (503, "REJECTED"), (500, "BACKEND"), (422, "OTHER")],
)
def test_requests_to_the_model_fail_for_tritons_reasons(status: int, reason: str) -> None:
    metrics = Metrics()
    for route in ("/v1/images/{id}/masks", "/livez"):
        metrics.answered(route=route, method="POST", status=status, code="x", seconds=0.1)
    metrics.answered(route="/v1/segment", method="POST", status=200, code=None, seconds=0.1)
    samples = _samples(metrics)
    assert samples[f"clickmask_inference_request_failure_total {reason}"] == 1
    assert samples["clickmask_inference_request_success_total"] == 1


def test_a_stores_counts_are_read_when_scraped() -> None:
    metrics, shelf = Metrics(), Shelf[str](100)
    metrics.watch_store("images", shelf.counts)
    for key in ("a", "b"):
        shelf.put(key, key, 60, "ann")
    for key in ("a", "b"):
        shelf.get(key, "ann")
    samples = _samples(metrics)
    assert samples["clickmask_cache_bytes images"] == 60 and samples["clickmask_cache_entries images"] == 1
    assert samples["clickmask_cache_num_hits_total images"] == samples["clickmask_cache_num_misses_total images"] == 1
    assert samples["clickmask_cache_num_evictions_total images"] == 1


def test_gauges_are_read_when_scraped() -> None:
    metrics, held = Metrics(), [0.0]
    metrics.watch_queue(lambda: len(held), lambda: sum(held))
    metrics.watch_hovers(lambda: 3)
    metrics.watch_ready(lambda: bool(sum(held)))
    assert _samples(metrics)["clickmask_ready"] == 0
    held.append(7.0)
    samples = _samples(metrics)
    assert samples["clickmask_inference_pending_request_count"] == 2
    assert samples["clickmask_queue_bytes"] == 7 and samples["clickmask_hover_dropped_total"] == 3
    assert samples["clickmask_ready"] == 1


def test_made_up_methods_and_unknown_routes_share_a_series() -> None:
    metrics, draw = Metrics(), random.Random(3)
    before = len(_samples(metrics))
    for _ in range(2_000):
        method = "".join(draw.choices(string.ascii_uppercase, k=7))
        metrics.answered(route=None, method=method, status=404, code="not_found", seconds=0.001)
    after = _samples(metrics)
    assert after["clickmask_request_total not_found OTHER unknown 404"] == 2_000
    assert len(after) - before == 1 + 13  # the counter; eleven buckets, sum and count


def test_no_series_tells_only_when_another_was_born() -> None:
    metrics = Metrics()
    metrics.ran_out_of_memory()
    assert b"clickmask_oom_created" not in metrics.render()[0]


def test_two_services_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.ran_out_of_memory()
    assert _samples(second)["clickmask_oom_total"] == 0
