"""A run on a Ray cluster of two nodes on this machine: the bytes of a run without one, whoever is lost meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from clickmask.models.errors import SettingsError
from clickmask.service.batch.cluster import cluster
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.report import Report
from clickmask.service.batch.run import Batch, run_with
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import scan
from clickmask.service.formats import Options

from .conftest import Run, tree

CHILDREN = Path(__file__).with_name("children")
sys.path.insert(0, str(CHILDREN))
harmful = import_module("harmful")

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.skipif(sys.platform != "linux", reason="Ray's test clusters are for Linux"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two nodes of one CPU."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:  # what Ray starts inherits these
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(CHILDREN), os.environ.get("PYTHONPATH")])))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": 100 << 20}
        nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        nodes.add_node(**node)
        yield nodes.address
        nodes.shutdown()


def _segment(photos: Path, out: Path, address: str, harm: dict[str, str]) -> Report:
    batch = Batch(
        scan(str(photos), out), harmful.Harmful("center", harm), Formats(("png", "coco"), Options()), Folder(out)
    )
    return run_with(batch, partial(cluster, address, lambda threads: harmful.open_segmenter, 2), lambda report: None)


def test_a_cluster_that_loses_an_actor_writes_what_one_process_does(
    address: str, make: Callable[[Path, int], None], tmp_path: Path, segment: Run
) -> None:
    photos = tmp_path / "photos"
    make(photos, 60)
    lost = tmp_path / "lost"
    report = _segment(photos, tmp_path / "out", address, {"even/030.png": f"parent {lost}", "031.png": "crash"})
    assert lost.exists()  # the actor was killed, once
    assert (report.tally.total, report.tally.done, report.tally.failed) == (60, 59, 1)
    assert [(trouble.name, trouble.kind) for trouble in report.failures] == [("031.png", "WorkerDied")]
    assert segment(photos, tmp_path / "out").tally.kept == 59
    segment(photos, tmp_path / "alone")
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")


def test_a_cluster_that_is_too_small_is_said(address: str, photos: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match="3 workers need a CPU each, the cluster has 2"),
        cluster(address, lambda threads: harmful.open_segmenter, 3),
    ):
        pass
