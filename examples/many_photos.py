"""A folder of photos, one box each: the next photo is decoded while one is encoded, and bad files do not stop it.

python examples/many_photos.py [FOLDER]
"""

import sys
from pathlib import Path

from clickmask import ClickmaskError, Segmenter

PHOTOS = Path(__file__).parent / "photos"


def skip(source: object, error: ClickmaskError) -> None:
    """Name the file that was left out."""
    sys.stderr.write(f"left out: {error}\n")


def main() -> None:
    """Segment what fills the middle half of each photo of a folder."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS
    files = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")
    for image in Segmenter().open_many(files, on_error=skip):
        width, height = image.size
        mask = image.segment(box=(width // 4, height // 4, width * 3 // 4, height * 3 // 4))
        sys.stdout.write(f"{width} x {height}: {mask.area} pixels, predicted IoU {mask.score:.2f}\n")
        image.close()


if __name__ == "__main__":
    main()
