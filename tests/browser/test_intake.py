"""Files come in from everywhere, in order; what is no photo is refused in a sentence that names it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from clickmask.models.errors import ImageError
from clickmask.service.image_headers import sniff

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
PHOTO = (PHOTOS / "dogs.jpg").read_bytes()

START = """async (maxBytes) => {
  const { Intake } = await import('./intake.js');
  window.intake?.stop();
  window.taken = [];
  window.refused = [];
  window.intake = new Intake(document.body, {
    maxBytes,
    onFiles: (files) => taken.push(files.map((file) => file.name)),
    onRefused: (name, sentence) => refused.push([name, sentence]),
  });
}"""
BYTES = "const file = ([name, text]) => new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name);"
TAKE = f"async (files) => {{ {BYTES} await intake.take(files.map(file)); return [taken, refused]; }}"

HEADS = {
    "jpeg": PHOTO[:600],
    "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 30,
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "gif": b"GIF89a" + b"\0" * 10,
    "bmp": b"BM" + b"\0" * 12 + b"\x28" + b"\0" * 20,
    "tiff": b"II*\0" + b"\0" * 20,
    "tiff, big end first": b"MM\0*" + b"\0" * 20,
    "heic": b"\0\0\0\x18ftypheic",
    "hevc": b"\0\0\0\x18ftyphevc",
    "heif": b"\0\0\0\x18ftypmif1",
    "avif": b"\0\0\0\x18ftypavif",
    "canon": b"\0\0\0\x18ftypcrx ",
    "video": b"\0\0\0\x18ftypisom",
    "jxl": b"\xff\x0a" + b"\0" * 8,
    "jxl box": b"\0\0\0\x0cJXL \r\n\x87\n",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "psd": b"8BPS\0\1",
    "exr": b"v/1\x01" + b"\0" * 8,
    "icon": b"\0\0\1\0\1\0",
    "bigtiff": b"II+\0" + b"\0" * 8,
    "pdf": b"%PDF-1.7\n",
    "zip": b"PK\x03\x04" + b"\0" * 8,
    "gzip": b"\x1f\x8b\x08\0",
    "html": b"<!doctype html><p>",
    "text": "Bäume, nothing else\n".encode(),
    "text that begins like a bitmap": b"BMW and others are carmakers",
    "noise": bytes(range(7, 71)),
}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def take(page: Page, *files: tuple[str, bytes], max_bytes: int | None = None) -> tuple[list[Any], dict[str, str]]:
    """Batches of names that were taken, and the sentences about the others."""
    page.evaluate(START, max_bytes or 10**9)
    taken, refused = page.evaluate(TAKE, [[name, encode(data)] for name, data in files])
    return taken, dict(refused)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos within folders, between files that are none."""
    holiday = tmp_path / "holiday"
    for name in ("img10.jpg", "img2.jpg", "sub/b.jpg", "sub/a.jpg", "zoo.jpg"):
        (holiday / name).parent.mkdir(parents=True, exist_ok=True)
        (holiday / name).write_bytes(PHOTO[:2000])
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "sub/more.txt"):
        (holiday / name).write_text("words")
    return holiday


def drag(page: Page, *paths: Path, kinds: tuple[str, ...] = ("dragEnter", "dragOver", "drop")) -> None:
    """Drag files over the page as the system does."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in kinds:
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 50, "y": 50, "data": data})


def test_the_page_knows_the_kinds_that_the_server_knows(functions: Page) -> None:
    """Taken by both or by none, and called the same where Python has a name for it."""
    script = f"""async (files) => {{
      {BYTES}
      const {{ sniff }} = await import('./kinds.js');
      const look = async (one) => sniff(new Uint8Array(await file(one).arrayBuffer()));
      return Promise.all(files.map(look));
    }}"""
    answers = functions.evaluate(script, [[name, encode(data)] for name, data in HEADS.items()])
    for (name, head), answer in zip(HEADS.items(), answers, strict=True):
        try:
            assert answer["kind"] == sniff(head[:64], name), name
            assert answer["needsServerPicture"] == name.startswith("tiff")
        except ImageError as error:
            assert answer["kind"] is None, name
            looks = str(error).split(" looks like ")[1].split(";")[0].split(" (")[0]
            named = answer["refusal"].replace("a text", "text").replace("of an unknown kind", "unknown data")
            assert named.startswith(f"is {looks}"), name


def test_photos_are_taken_in_order_and_the_rest_is_refused_by_name(functions: Page) -> None:
    files = [("b.jpg", PHOTO), ("notes.pdf", b"%PDF-1.7"), ("a.tif", HEADS["tiff"]), ("empty.jpg", b"")]
    files += [("IMG_1.heic", HEADS["heic"]), ("logo.svg", b'<?xml version="1.0"?>\n<svg xmlns="x">')]
    taken, refused = take(functions, *files)
    assert taken == [["b.jpg", "a.tif"]]
    assert refused == {
        "notes.pdf": "notes.pdf is a PDF document, not a photo: choose JPEG, PNG, WebP, BMP, GIF or TIFF.",
        "empty.jpg": "empty.jpg is empty (0 bytes).",
        "IMG_1.heic": "IMG_1.heic is a HEIC photo, which cannot be read here: save it as JPEG or PNG first.",
        "logo.svg": "logo.svg is an SVG drawing, which cannot be read here: save it as JPEG or PNG first.",
    }


def test_a_file_of_the_largest_size_is_taken_and_a_byte_more_is_too_large(functions: Page) -> None:
    large = PHOTO[:2_000_000].ljust(2_000_000, b"\0")
    taken, refused = take(functions, ("fits.jpg", large), ("large.jpg", large + b"\0"), max_bytes=2_000_000)
    assert taken == [["fits.jpg"]]
    assert refused == {"large.jpg": "large.jpg is too large: 2.0 MB, and the server takes at most 2.0 MB."}


def test_files_and_folders_can_be_dropped_anywhere(functions: Page, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "first.jpg").write_bytes(PHOTO[:2000])
    (tmp_path / "void").mkdir()
    functions.evaluate(START, 10**9)
    dropping = "() => document.body.classList.contains('is-dropping')"
    drag(functions, folder, kinds=("dragEnter", "dragOver"))
    assert functions.evaluate(dropping)
    drag(functions, tmp_path / "first.jpg", folder, tmp_path / "void", kinds=("drop",))
    functions.wait_for_function("() => taken.length === 1 && refused.length === 2")
    assert not functions.evaluate(dropping)
    assert functions.evaluate("() => taken") == [
        ["first.jpg", "img2.jpg", "img10.jpg", "a.jpg", "b.jpg", "zoo.jpg"],
    ]
    assert functions.evaluate("() => refused") == [
        ["void", "void has no files in it."],
        ["holiday", "2 files in holiday are no photos and were left out."],
    ]


def test_a_picture_dragged_about_within_the_page_is_no_drop(functions: Page) -> None:
    functions.evaluate(START, 10**9)
    script = """() => {
      const data = new DataTransfer();
      data.items.add(new File(['x'], 'x.jpg'));
      const send = (name) => document.body.dispatchEvent(
        new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
      send('dragstart');
      const isLeftAlone = send('dragover') && send('drop');
      send('dragend');
      return [isLeftAlone, send('dragover')];
    }"""
    assert functions.evaluate(script) == [True, False]


def test_pasted_pictures_get_names_of_their_own_and_texts_are_left_alone(functions: Page) -> None:
    functions.evaluate(START, 10**9)
    script = f"""async (photo) => {{
      {BYTES}
      const input = document.body.appendChild(document.createElement('input'));
      const paste = (target, files, text) => {{
        const clipboardData = new DataTransfer();
        for (const one of files) clipboardData.items.add(one);
        if (text) clipboardData.setData('text/plain', text);
        const event = new ClipboardEvent('paste', {{ clipboardData, bubbles: true, cancelable: true }});
        return target.dispatchEvent(event);
      }};
      const left = [
        paste(document.body, [file(['image.png', photo])]),
        paste(input, [file(['image.png', photo])]),
        paste(document.body, [file(['shot.jpg', photo])]),
        paste(document.body, [], 'words'),
        paste(input, [file(['image.png', photo])], 'a cell of a table, and its picture'),
      ];
      await intake.take([]);
      return [left, taken];
    }}"""
    left, taken = functions.evaluate(script, encode(PHOTO[:2000]))
    assert left == [False, False, False, True, True]
    assert taken == [["pasted 1.png"], ["pasted 2.png"], ["shot.jpg"]]


def test_the_file_dialog_takes_many_and_the_same_again(functions: Page) -> None:
    functions.evaluate(START, 10**9)
    for _ in range(2):
        with functions.expect_file_chooser() as chooser:
            functions.evaluate("() => intake.choose()")
        assert chooser.value.is_multiple()
        chooser.value.set_files([PHOTOS / "dogs.jpg", PHOTOS / "fig.jpg"])
    functions.wait_for_function("() => taken.length === 2")
    assert functions.evaluate("() => taken") == [["dogs.jpg", "fig.jpg"]] * 2


def test_examples_come_by_address_and_a_missing_one_is_named(functions: Page) -> None:
    functions.route("**/photos/a%20b.jpg", lambda route: route.fulfill(body=PHOTO, content_type="image/jpeg"))
    functions.evaluate(START, 10**9)
    functions.evaluate("() => intake.takeExample('photos/a%20b.jpg')")
    functions.evaluate("() => intake.takeExample('photos/none.jpg')")
    assert functions.evaluate("() => taken") == [["a b.jpg"]]
    assert functions.evaluate("() => refused") == [["none.jpg", "none.jpg cannot be fetched: the server answered 404."]]


CAMERA = """() => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d');
  const paint = () => { context.fillStyle = '#08f'; context.fillRect(0, 0, 64, 48); requestAnimationFrame(paint); };
  paint();
  navigator.mediaDevices.getUserMedia = async () => (window.stream = canvas.captureStream());
  window.shot = intake.camera();
}"""


def test_the_camera_gives_a_photo_and_is_let_go(functions: Page) -> None:
    functions.evaluate(START, 10**9)
    functions.evaluate(CAMERA)
    functions.get_by_role("dialog", name="Camera").get_by_role("button", name="Take photo").click()
    functions.evaluate("() => shot")
    assert functions.evaluate("() => [taken, refused]") == [[["camera 1.jpg"]], []]
    assert functions.evaluate("() => stream.getTracks().map((track) => track.readyState)") == ["ended"]
    assert functions.get_by_role("dialog").count() == 0


def test_the_camera_can_be_left_by_escape(functions: Page) -> None:
    functions.evaluate(START, 10**9)
    functions.evaluate(CAMERA)
    functions.get_by_role("button", name="Take photo").wait_for()
    functions.keyboard.press("Escape")
    functions.evaluate("() => shot")
    assert functions.evaluate("() => [taken, refused]") == [[], []]
    assert functions.evaluate("() => stream.getTracks().map((track) => track.readyState)") == ["ended"]


@pytest.mark.parametrize(
    "name, words", [("NotAllowedError", "allow it in the browser"), ("NotFoundError", "no camera"), ("X", "reasons")]
)
def test_a_camera_that_does_not_work_is_explained(functions: Page, name: str, words: str) -> None:
    functions.evaluate(START, 10**9)
    script = """async (name) => {
      navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('reasons', name); };
      await intake.camera();
      return refused;
    }"""
    ((where, sentence),) = functions.evaluate(script, name)
    assert where == "camera" and words in sentence


def test_without_a_secure_context_the_camera_says_what_it_needs(modules: Page) -> None:
    modules.evaluate(START, 10**9)
    modules.evaluate("() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    modules.evaluate("() => intake.camera()")
    ((_, sentence),) = modules.evaluate("() => refused")
    assert "https" in sentence
