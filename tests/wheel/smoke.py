"""Builds the wheel, installs it in a bare environment and uses it there, from another folder.

    python tests/wheel/smoke.py

The checkout forgives what a wheel does not: a sub-package missing from pyproject.toml, weights that were not
packed, a dependency that only .venv happens to have. So everything clickmask depends on is installed
anew, but for PyTorch and what it brings along: gigabytes that hold nothing of ours. Those are lent by the
environment that runs this script, through links named in a .pth file. The wheel is left in dist/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "service", "ui")
NOT_SOURCE = (".git", ".venv", "build", "dist", "out", "*.egg-info", "__pycache__", ".*_cache")
STATIC = ROOT / "ui" / "static"
WEIGHTS = "clickmask/models/weights/mobile_sam.safetensors"
PHOTO, X, Y = ROOT / "examples" / "photos" / "dogs.jpg", 290, 300  # on the upper dog

TRY = """
import sys
import clickmask
from clickmask import Segmenter

assert "site-packages" in clickmask.__file__, clickmask.__file__

import cv2
photo, x, y, written = sys.argv[1:]
with Segmenter().open(photo) as image:
    width, height = image.size
    mask = image.click(int(x), int(y))
assert mask.pixels.shape == (height, width)
assert 0.001 < mask.area / (width * height) < 0.5, mask.area

from_disk = cv2.imread(written, cv2.IMREAD_GRAYSCALE) > 0
assert from_disk.shape == mask.pixels.shape
assert (from_disk == mask.pixels).mean() > 0.999, "the command line's mask is not Python's"
"""

# Every module but those named: without the extras, theirs cannot be imported.
IMPORT = """
import importlib, pkgutil, sys
import clickmask

optional = tuple(sys.argv[1:])
names = [module.name for module in pkgutil.walk_packages(clickmask.__path__, "clickmask.", onerror=lambda name: None)]
assert len(names) > 100, names
for name in names:
    if not name.startswith(optional):
        importlib.import_module(name)
"""
EXTRAS = {
    "serve": "clickmask.service.http",
    "client": "clickmask.service.client.httpx_transports",
    "ui": "clickmask.ui.",
}
ENCODERS = "clickmask.service.cluster.encoders"  # which works for the HTTP service
CLIENT = "import clickmask; clickmask.Client('http://127.0.0.1:7860')"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="clickmask-wheel-") as folder:
        wheel = build(Path(folder))
        inspect(wheel)
        python = install(wheel, Path(folder) / "bare")
        elsewhere = Path(folder) / "elsewhere"
        use(python, elsewhere)
        use_extras(python, wheel, elsewhere)
    say(f"all well: dist/{wheel.name}, {wheel.stat().st_size / 1e6:.0f} MB")


def build(folder: Path) -> Path:
    """From a clean copy: what an earlier build left in the checkout must not slip in."""
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    say("building the wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source)
    (built,) = folder.glob("clickmask-*.whl")
    (ROOT / "dist").mkdir(exist_ok=True)
    return Path(shutil.copy(built, ROOT / "dist"))


def inspect(wheel: Path) -> None:
    """Exactly the modules of the rooms, the weights, the licence; no tests, no photos."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {entry.filename: entry.file_size for entry in archive.infolist()}
    paths = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    modules = {"clickmask/" + path.relative_to(ROOT).as_posix() for path in paths}
    found = {name for name in packed if name.endswith(".py")}
    assert found == modules, f"missing: {sorted(modules - found)}, too many: {sorted(found - modules)}"
    assert packed[WEIGHTS] == (ROOT / WEIGHTS.removeprefix("clickmask/")).stat().st_size
    static = {"clickmask/" + path.relative_to(ROOT).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    for name in ("clickmask/py.typed", "clickmask/models/weights/README.md", *static):
        assert name in packed, f"no {name}"
    for name in ("LICENSE", "NOTICE"):
        assert any(path.endswith(f".dist-info/licenses/{name}") for path in packed), f"no {name}"


def install(wheel: Path, bare: Path) -> Path:
    """A new environment with the wheel and all it depends on; its Python."""
    say("installing it in a bare environment, PyTorch lent")
    run(sys.executable, "-m", "venv", bare)
    python = bare / "bin" / "python"
    (site,) = bare.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(f"{lend(bare / 'lent')}\n")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    run(python, "-m", "pip", "check")
    return python


def lend(folder: Path) -> Path:
    """A folder of links to PyTorch, torchvision, and what PyTorch needs."""
    folder.mkdir()
    for name in sorted(closure("torch", set()) | {"torchvision"}):
        lent = distribution(name)
        for top in {path.parts[0] for path in lent.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(lent.locate_file(top))))
    return folder


def closure(name: str, extras: set[str]) -> set[str]:
    """The distribution's name and those of everything it requires here."""
    names = {name}
    for line in distribution(name).requires or ():
        needed = Requirement(line)
        if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            names |= closure(needed.name, needed.extras)
    return names


def use(python: Path, elsewhere: Path) -> None:
    """The command line and Python, on a photo, from a folder that has nothing of the checkout."""
    elsewhere.mkdir()
    shutil.copy(PHOTO, elsewhere / "photo.jpg")
    command = python.with_name("clickmask")
    say("using it from another folder")
    run(command, "--help", cwd=elsewhere, quiet=True)
    run(python, "-m", "clickmask", "--version", cwd=elsewhere, quiet=True)
    assert "vit_t" in run(command, "models", "list", cwd=elsewhere, quiet=True)
    run(command, "segment", "photo.jpg", "--point", f"{X},{Y}", "-o", "mask.png", cwd=elsewhere)
    run(python, "-c", TRY, "photo.jpg", str(X), str(Y), "mask.png", cwd=elsewhere)
    run(python, "-c", IMPORT, *EXTRAS.values(), ENCODERS, cwd=elsewhere)


def use_extras(python: Path, wheel: Path, elsewhere: Path) -> None:
    """Without them, the service and its client say what to install; with them, all of clickmask can be imported."""
    say("adding its extras")
    clickmask = python.with_name("clickmask")
    for extra, words in {
        "serve": (clickmask, "serve"),
        "ui": (clickmask, "ui"),
        "client": (python, "-c", CLIENT),
    }.items():
        told = refused(*words, cwd=elsewhere)
        assert f"pip install 'clickmask[{extra}]'" in told, told
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[{','.join(EXTRAS)}]")
    run(python, "-m", "pip", "check")
    run(python, "-c", IMPORT, cwd=elsewhere)


def run(*command: str | Path, cwd: Path | None = None, quiet: bool = False) -> str:
    """Runs to a good end, with none of the caller's Python or clickmask settings; returns what it printed."""
    output = subprocess.PIPE if quiet else None
    done = subprocess.run([str(word) for word in command], check=True, cwd=cwd, env=plain(), stdout=output, text=True)
    return done.stdout or ""


def plain() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("CLICKMASK_", "PYTHON", "VIRTUAL_ENV"))}


def refused(*command: str | Path, cwd: Path) -> str:
    """What a command that cannot be carried out says before it ends."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, env=plain())
    assert done.returncode != 0, done.stdout
    return done.stderr


def say(words: str) -> None:
    print(f"wheel: {words}", flush=True)


if __name__ == "__main__":
    main()
