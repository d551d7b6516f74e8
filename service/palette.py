"""Twenty colours that are easy to tell apart, on photographs and from one another."""

from __future__ import annotations

# Four plain ones, then each the farthest in CIELAB from all before it, among saturated colours neither very
# dark nor very light: any two are at least 41 apart.
PALETTE: tuple[tuple[int, int, int], ...] = (
    (0, 130, 255),
    (255, 70, 50),
    (40, 200, 70),
    (255, 215, 0),
    (255, 0, 195),
    (90, 240, 255),
    (0, 0, 255),
    (90, 75, 15),
    (255, 180, 225),
    (135, 0, 60),
    (225, 240, 165),
    (105, 15, 165),
    (15, 135, 90),
    (75, 60, 120),
    (255, 165, 120),
    (180, 255, 0),
    (0, 135, 180),
    (135, 150, 0),
    (210, 0, 255),
    (0, 255, 195),
)


def colour(index: int) -> tuple[int, int, int]:
    """The colour (r, g, b), 0..255, of object number `index`, 0 and up; after twenty they come again."""
    return PALETTE[index % len(PALETTE)]
