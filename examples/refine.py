"""Click after click: each one refines the mask of the one before, and every step can be undone.

python examples/refine.py
"""

from pathlib import Path

from clickmask import Segmenter

PHOTO = Path(__file__).parent / "photos" / "dogs.jpg"


def main() -> None:
    """Outline the upper dog; the result is in the current folder."""
    image = Segmenter().open(PHOTO)
    dog = image.start()
    dog.add(285, 336)  # its head
    dog.add(330, 470, label=0)  # not the curtain below it
    dog.undo()
    dog.set_box(200, 225, 360, 425)
    if dog.mask is not None:
        dog.mask.clean(specks=0.02, holes=0.02).save("dog.jpg")


if __name__ == "__main__":
    main()
