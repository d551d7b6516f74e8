"""One click, one object: what it is, a mask, a cut-out, the data.

python examples/click.py
"""

from pathlib import Path

from clickmask import Segmenter

PHOTO = Path(__file__).parent / "photos" / "fig.jpg"


def main() -> None:
    """Cut the fig out of its bowl; the results are in the current folder."""
    segmenter = Segmenter()
    with segmenter.open(PHOTO) as image:
        fig = image.click(590, 403)
        fig.save("fig_mask.png")
        fig.save("fig_cutout.png", format="cutout")
        fig.save("fig.json")

        # The same click could mean the flesh, the fig, or the bowl: the decoder has three answers.
        for mask in image.candidates([(590, 403)]):
            mask.save(f"fig_candidate_{mask.index}.jpg")


if __name__ == "__main__":
    main()
