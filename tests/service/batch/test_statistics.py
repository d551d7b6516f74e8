"""What is counted of photos: worked by hand, and the same however the run was cut up."""

from __future__ import annotations

import numpy as np
import pytest

from clickmask.service import rle
from clickmask.service.batch.journal import DONE, FAILED, Record
from clickmask.service.batch.lots import KEPT, Lowest, drawn, lot
from clickmask.service.batch.measuring import measure
from clickmask.service.batch.pace import Pace
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.statistics import AREA_BINS, SCORE_BINS, Spread, Statistics, area_bin, score_bin
from clickmask.service.batch.totals import Totals
from clickmask.service.formats import Options
from clickmask.service.formats.result import ObjectResult, Result


def _mask(*box: int) -> np.ndarray:
    mask = np.zeros((10, 10), bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def test_bins_worked_by_hand() -> None:
    """Six decades of four bins: 1 is in the last, 0.1 begins the fourth from the end, 1e-6 and less in the first."""
    assert [area_bin(share) for share in (1.0, 0.5, 0.11, 0.1, 0.09, 2e-6, 1e-6, 1e-9)] == [23, 22, 20, 20, 19, 1, 0, 0]
    assert [score_bin(score) for score in (-0.1, 0.0, 0.019, 0.02, 0.5, 0.99, 1.0, 1.04)] == [
        0,
        0,
        0,
        1,
        25,
        49,
        49,
        49,
    ]
    assert (AREA_BINS, SCORE_BINS) == (24, 50)


def test_a_photo_is_measured_as_by_hand() -> None:
    """100 pixels: objects of 50, 4 and none. The 4 lie in the 50, of which a label map loses them."""
    large, small, none = _mask(0, 0, 10, 5), _mask(1, 1, 3, 3), _mask(0, 0, 0, 0)
    objects = [
        ObjectResult(large, 0.91, 1, 0),
        ObjectResult(rle.encode(small), 0.5, 1, 1),
        ObjectResult(none, 0.97, 1, 2),
    ]
    found = measure(Result(10, 10, objects), Formats(("png", "labelmap", "yolo"), Options()))
    assert found.areas == ((18, 1), (22, 1))  # 0.04 is between 0.0316 and 0.0562, 0.5 between 0.316 and 0.562
    assert found.scores == ((25, 1), (45, 1), (48, 1))
    assert (found.empty, found.lowest) == (1, 0.5)
    assert found.losses == (("labelmap", 1, 4), ("yolo", 1, 0))  # the empty one has no line
    assert measure(Result(10, 10, []), Formats(("png",), Options())) == Statistics()


def test_a_record_brings_its_statistics_through_the_journal_and_old_ones_have_none() -> None:
    own = Statistics(((3, 2),), ((49, 2),), 1, 0.5, (("yolo", 1, 7),))
    record = Record("a", DONE, outputs=(("a.png", 3, "ff"),), objects=2, statistics=own, seconds=(0.1, 2.0, 0.3))
    assert Record.parse(record.line()) == record
    old = b'{"name":"a","state":"done","size":1,"mtime_ns":2,"sha256":"","base":"a","outputs":[],"objects":1}\n'
    parsed = Record.parse(old)
    assert parsed is not None and parsed.statistics is None and parsed.seconds == ()
    totals = Totals()
    totals.add(parsed)
    assert totals.unmeasured == 1 and [exhibit.lowest for _, exhibit in totals.by_lot] == [None]


@pytest.mark.parametrize("own", ['{"areas":[[24,1]]', '{"areas":[[-1,1]]', '{"areas":3', '{"areas":[[0,-1]]'])
def test_a_spoilt_record_is_none(own: str) -> None:
    rest = '"scores":[],"empty":0,"lowest":null,"losses":[]}'
    line = f'{{"name":"a","state":"done","outputs":[],"statistics":{own},{rest}}}\n'
    assert Record.parse(line.encode()) is None
    assert Record.parse(line.replace(own, '{"areas":[[23,1]]').encode()) is not None


def _record(n: int) -> Record:
    """Photo n has n % 3 objects, and one in the bins n % 24 and n % 50."""
    lowest = n / 100 if n % 3 else None
    own = Statistics(((n % 24, 1),), ((n % 50, 1),), n % 2, lowest, (("yolo", 1, n),))
    outputs = ((f"{n}.png", n, ""), (f".clickmask-batch/coco/{n}.json", 5, ""))
    return Record(f"{n}.jpg", DONE, outputs=outputs, objects=n % 3, statistics=own)


def test_totals_are_sums_in_any_order() -> None:
    records = [_record(n) for n in range(100)]
    forth, back = Totals(), Totals()
    for record in [*records, Record("bad.jpg", FAILED)]:
        forth.add(record)
    for record in [Record("bad.jpg", FAILED), *reversed(records)]:
        back.add(record)
    for one in (forth, back):
        assert (one.files, one.bytes, one.without_objects) == (100, 4950 + 500, 34)
        assert (one.histograms.empty, one.histograms.areas[0], sum(one.histograms.scores)) == (50, 5, 100)
        assert (one.losses["yolo"].photos, one.losses["yolo"].objects, one.losses["yolo"].pixels) == (100, 100, 4950)
        assert (one.room.count, one.room.total, one.results.mean) == (101, 4950 + 1000, 100 / 101)
        assert [exhibit.lowest for _, exhibit in one.worst][:4] == [0.01, 0.02, 0.04, 0.05]
        names = [exhibit.name for _, exhibit in one.by_lot]
        assert names == sorted((record.name for record in records), key=lot)[:KEPT]


def test_the_lowest_of_many_are_those_that_sorting_gives() -> None:
    draw = np.random.default_rng(3)
    keys = [(float(value), f"{place}") for place, value in enumerate(draw.integers(0, 40, 500))]
    few: Lowest[int] = Lowest(17)
    for place, key in enumerate(keys):
        admitted = few.admits(key)
        few.add(key, place)
        assert admitted == (key in [kept for kept, _ in few])
    assert [key for key, _ in few] == sorted(keys)[:17]


def test_lots_fall_the_same_way_whatever_the_order() -> None:
    names = [f"{n}.jpg" for n in range(1000)]
    assert drawn(names, 20) == drawn(reversed(names), 20) and len(drawn(names, 20)) == 20
    assert drawn(names, 20) < drawn(names, 21) and drawn(names[:3], 20) == set(names[:3])
    assert lot("\udcff.jpg") != lot("\udcfe.jpg")


def test_spread_worked_by_hand() -> None:
    """1, 2, 3: mean 2, variance 1. The sum of 3 others: 2 x 3 x sqrt(1 x (1/3 + 1/3)) either way."""
    spread = Spread()
    for value in (1, 2, 3):
        spread.add(value)
    assert (spread.mean, spread.error_of(0)) == (2, 0)
    assert spread.error_of(3) == pytest.approx(6 * (2 / 3) ** 0.5)
    assert (Spread().mean, Spread().error_of(5)) == (0, 0)


def test_pace_tells_the_last_minute_from_the_whole() -> None:
    """A photo a second for ten minutes, then one in ten seconds; warming up took a minute before the first."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.steady_rate is None and pace.rate == 0
    now[0] = 60
    for number in range(600):
        assert pace.is_settled == (number >= 3)
        pace.step()
        now[0] += 1
    assert pace.count == 600 and pace.steady_rate == pytest.approx(1) and pace.rate == pytest.approx(600 / 660)
    for _ in range(30):
        now[0] += 10
        pace.step()
    assert pace.lately(60) == pytest.approx(0.1, rel=0.2)
    assert pace.lately() == pytest.approx(330 / 600, rel=0.05)
    assert pace.rate == pytest.approx(630 / 960)
    assert len(pace._marks) < 700
