"""What a machine has once found out about a model, remembered in the cache folder.

Losing the folder costs a second; a folder that cannot be written costs that second at every start.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import tempfile
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

log = logging.getLogger("clickmask")

_COMPUTING = ("layers.py", "neck.py", "padding.py", "precision.py", "sam.py", "tiny_vit.py", "windows.py")


class Facts:
    """Named tensors about one model on one kind of machine with one torch."""

    def __init__(self, cache_dir: Path, digest: str, device: torch.device) -> None:
        machine = [_arithmetic(), digest, torch.__version__, platform.machine(), _device_name(device)]
        self._folder = cache_dir / "facts" / hashlib.sha256("\n".join(machine).encode()).hexdigest()[:24]

    def recall(self, name: str, shape: tuple[int, ...] = ()) -> Tensor | None:
        """The tensor of that shape remembered under a name, or None; a damaged file counts as forgotten."""
        path = self._path(name)
        try:
            if not path.is_file():
                return None
            value = load_file(path)["value"]
        except OSError as error:
            log.info("%s cannot be read, so it will be computed anew (%s)", path, error)
            return None
        except (SafetensorError, KeyError) as error:
            log.warning("%s is damaged and will be computed anew (%s)", path, error)
            return None
        if tuple(value.shape) == shape and value.is_floating_point() and bool(torch.isfinite(value).all()):
            return value
        log.warning("%s is damaged and will be computed anew (unexpected content)", path)
        return None

    def remember(self, name: str, value: Tensor) -> None:
        """Keep a tensor, whole or not at all; a folder that cannot be written is no failure."""
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            os.close(handle)
            try:
                save_file({"value": value.cpu().contiguous()}, temporary)
                os.replace(temporary, path)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            log.info("%s cannot be kept, so it will be computed at every start (%s)", path, error)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"


@cache
def _arithmetic() -> str:
    """Changes with the code that computes: what another version found out does not count."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in _COMPUTING)).hexdigest()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {_processor()}"


def _processor() -> str:
    """The processor's model and the vector instructions torch uses on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    keys = ("vendor_id", "cpu family", "model", "model name", "stepping")
    named = {line.split(":")[0].strip(): line.split(":")[-1].strip() for line in reversed(lines) if ":" in line}
    model = " ".join(named.get(key, "") for key in keys).strip() or platform.processor()
    return f"{model} {torch.backends.cpu.get_cpu_capability()}"
