"""Makes the README's picture: a click on a photo, the mask, and the cut-out.

python examples/readme_picture.py
"""

from pathlib import Path

import cv2
import numpy as np

from clickmask import Segmenter
from clickmask.service.cutouts import overlay

HERE = Path(__file__).parent
CLICK = (590, 403)


def checkerboard(height: int, width: int, cell: int = 16) -> np.ndarray:
    """(height, width, 3) uint8: what image editors show where nothing is."""
    y, x = np.indices((height, width)) // cell
    return np.where(((x + y) % 2 == 0)[..., None], 255, 220).astype(np.uint8).repeat(3, axis=2)


def on_checkerboard(cutout: np.ndarray, height: int, width: int) -> np.ndarray:
    """An RGBA cut-out as large as fits, in the middle of a checkerboard."""
    scale = min(height / cutout.shape[0], width / cutout.shape[1]) * 0.9
    large = cv2.resize(cutout, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    board = checkerboard(height, width)
    top, left = (height - large.shape[0]) // 2, (width - large.shape[1]) // 2
    place = board[top : top + large.shape[0], left : left + large.shape[1]]
    share = large[..., 3:] / 255
    place[:] = (place * (1 - share) + large[..., :3] * share).astype(np.uint8)
    return board


def main() -> None:
    """Write click_and_cutout.jpg beside this file."""
    image = Segmenter().open(HERE / "photos" / "fig.jpg")
    mask = image.click(*CLICK).clean(specks=0.02, holes=0.02)
    clicked = overlay(image.pixels, [mask.pixels])
    for radius, colour in ((15, (255, 255, 255)), (11, (40, 200, 70))):
        cv2.circle(clicked, CLICK, radius, colour, -1, cv2.LINE_AA)
    for end in ((6, 0), (0, 6)):
        start = (CLICK[0] - end[0], CLICK[1] - end[1])
        cv2.line(clicked, start, (CLICK[0] + end[0], CLICK[1] + end[1]), (255, 255, 255), 3)
    height = clicked.shape[0]
    cut = on_checkerboard(mask.cutout(pad=4, feather=2), height, height)
    gap = np.full((height, 16, 3), 255, np.uint8)
    picture = cv2.cvtColor(np.hstack([clicked, gap, cut]), cv2.COLOR_RGB2BGR)
    small = cv2.resize(picture, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(HERE / "click_and_cutout.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
