"""The files weights come in: told apart by their first bytes, and read without running anything.

Only `torch.load(weights_only=True)` ever sees a pickle. Whatever goes wrong becomes a
`CheckpointError` that names the file.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

from .errors import CheckpointError

Container = Literal["safetensors", "torch zip", "torch legacy"]

_HEAD = 1024  # bytes looked at to tell what a file is
_LEGACY_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"  # the number that old torch files begin with, as pickled
_LONGEST_HEADER = 100_000_000  # bytes; safetensors' own limit


def read_container(path: Path) -> tuple[Container, object]:
    """Read a weights file whole; return its container and what it holds, usually a dict of CPU tensors.

    Tensors keep their stored dtype and are mapped from the file where the container allows it.
    Raises `CheckpointError` for a file that is missing, empty, cut short, unsafe or of another kind.
    """
    head, size = _read_head(path)
    container = _tell(path, head, size)
    try:
        if container == "safetensors":
            return container, load_file(path, device="cpu")
        return container, _load_torch(path, mapped=container == "torch zip")
    except UnpicklingError as error:
        raise CheckpointError(f"{path}: {_explain_refusal(str(error))}") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: the safetensors file is cut short or damaged ({error}).") from error
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise CheckpointError(f"{path}: {_explain_damage(error)}") from error


def _load_torch(path: Path, mapped: bool) -> object:
    # Given a name, torch takes .safetensors for what it says; given an open file, it looks at the bytes.
    if mapped and path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def _read_head(path: Path) -> tuple[bytes, int]:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise CheckpointError(f"{path} is a pipe or device; a weights file was expected.")
        with path.open("rb") as file:
            return file.read(_HEAD), path.stat().st_size
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such file.") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path} is a folder; a weights file was expected.") from error
    except ValueError as error:
        raise CheckpointError(f"{path!r} is no name of a file ({error}).") from error
    except OSError as error:
        if path.is_dir():  # Windows answers "permission denied" for a folder
            raise CheckpointError(f"{path} is a folder; a weights file was expected.") from error
        raise CheckpointError(f"{path}: the file cannot be read ({error.strerror}).") from error


def _tell(path: Path, head: bytes, size: int) -> Container:
    """The container of a file, from its first bytes: a suffix may lie."""
    if not head:
        raise CheckpointError(f"{path}: the file is empty.")
    # First, because the length it begins with may look like any other format's mark.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER:
        return "safetensors"
    if head.startswith(b"PK"):
        _check_zip(path, size)
        return "torch zip"
    if head.startswith(b"\x80") and _LEGACY_MAGIC in head[:32]:
        return "torch legacy"
    raise CheckpointError(f"{path}: {_describe_stranger(path, head)}")


def _check_zip(path: Path, size: int) -> None:
    """Refuse a zip that is cut short or was not written by `torch.save`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path}: the file is cut short or damaged: {size:,} bytes without the end of a torch archive. "
            "Download or copy it again."
        ) from error
    if packed:  # torch.save never compresses: a small file could fill the memory
        raise CheckpointError(f"{path}: it is a compressed zip, not weights. Unpack it first?")
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"{path}: it is a TorchScript program; plain weights (a state dict) are needed.")
    if not any(name.endswith("data.pkl") for name in names):
        shown = ", ".join(names[:3]) or "nothing"
        raise CheckpointError(f"{path}: it is a zip of other things ({shown}), not weights. Unpack it first?")


def _describe_stranger(path: Path, head: bytes) -> str:
    """What a file is that is no container of weights, as far as its first bytes tell."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the weights: run `git lfs pull` where it came from."
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "this is an HTML page, not weights: the download failed? Fetch it again."
    if head.startswith(b"\x80"):
        return "it is a pickle that torch did not write: unsafe, since it may run code, and not run."
    if path.suffix.lower() == ".onnx":
        return "it is an ONNX graph; the PyTorch weights (.pth, .pt, .safetensors) are needed."
    if b"\0" not in head and _is_text(head):
        return "it is a text file, not weights."
    return "it is neither a PyTorch (.pth, .pt) nor a safetensors file."


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode()  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True


def _explain_refusal(message: str) -> str:
    """Say why torch's weights-only reader refused a pickle."""
    names = re.findall(r"GLOBAL ([\w.]+)", message)
    if not names:
        return "the file is damaged, or holds more than weights; nothing in it was run."
    return (
        f"it is unsafe: reading it would run code of its own ({names[0]}); it was not run. "
        "If you trust where it comes from, save the weights alone: torch.save(model.state_dict(), path)."
    )


def _explain_damage(error: Exception) -> str:
    reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
    return f"the file is cut short or damaged ({reason}). Download or copy it again."
