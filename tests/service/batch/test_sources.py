"""The compact list of what a scan found."""

from __future__ import annotations

import tracemalloc

from clickmask.service.batch.inputs.cloud import Bucket
from clickmask.service.batch.inputs.found import Sources, key_of
from clickmask.service.batch.inputs.source import Folder, Source
from clickmask.service.batch.sources import order


def test_sources_are_sorted_made_on_demand_and_unique() -> None:
    sources = Sources()
    photos, bucket = sources.place(Folder.at("/photos", named=True)), sources.place(Bucket("s3://b"))
    for name in ("b", "a/z", "a-b", "a", "a/z", "\udcff"):
        sources.add(key_of(name), photos)
    sources.add(key_of("c"), bucket)
    assert sources.seal() == ["a/z"]
    assert [source.name for source in sources] == ["a", "a/z", "a-b", "b", "c", "\udcff"]
    assert [source.name for source in sources] == sorted((source.name for source in sources), key=order)
    assert sources[1] == Source("a/z", "/photos/a/z", named=True) and sources[4].path == "s3://b/c"
    assert len(sources) == 6 and sources[1:3] == [sources[1], sources[2]]
    sources.drop(key_of("a"))
    assert [source.name for source in sources] == ["a", "a-b", "b", "c", "\udcff"]


def test_a_million_would_take_some_hundred_megabytes() -> None:
    tracemalloc.start()
    try:
        sources = Sources()
        place = sources.place(Folder.at("/photos"))
        for number in range(5000):
            sources.add(key_of(f"n{number // 1000:08}/n{number // 1000:08}_{number:06}.JPEG"), place)
        sources.seal()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5000 * 130
