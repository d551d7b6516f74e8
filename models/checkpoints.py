"""Checkpoints: found by name or path, read safely, recognised, described, and written as safetensors."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from .containers import Container, read_container
from .download import Progress, fetch, hash_file
from .errors import CheckpointError, OutputError, WeightsError
from .recognise import Architecture, recognise
from .unwrap import as_float32, unwrap
from .variants import VARIANTS, get_variant

EMBEDDED = Path(__file__).parent / "weights" / "mobile_sam.safetensors"

Source = str | os.PathLike[str] | Mapping[str, Tensor] | nn.Module

_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".th", ".onnx", ".zip")
_DTYPES = {"float32": torch.float32, "float16": torch.float16}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights ready for a network.

    `state` maps the official names to contiguous float32 CPU tensors, exactly those of `architecture`.
    They may be mapped from the file and must not be changed; replace such a file by renaming a new
    one over it. `source` says where they came from: a variant, a path, or a phrase.
    """

    state: Mapping[str, Tensor]
    architecture: Architecture
    source: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over sorted names, shapes and float32 bytes: the same for every container."""
        return _digest(self.state)


@dataclass(frozen=True)
class FileReport:
    """What a weights file is. `dtypes` are those stored; `tensors` and `parameters` count what SAM uses.

    `official` tells whether the file is, byte for byte, one whose SHA-256 the table of variants pins.
    """

    path: Path
    container: Container
    variant: str | None
    title: str
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    sha256: str
    md5: str
    official: bool


def load_checkpoint(source: Source, *, cache_dir: Path, progress: Progress | None = None) -> Checkpoint:
    """Find, check and read SAM weights.

    `source` is a variant ("vit_t" comes with the package; others are taken from `cache_dir`, or
    fetched into it), a path to a .pth, .pt or .safetensors file, a state dict, or a module that has
    one (a `segment_anything` Sam). A name of the table is always the variant: write "./vit_b" for a
    file of that name. State dicts and modules are copied. Raises `WeightsError` or a kind of it.
    """
    if isinstance(source, nn.Module):
        return _from_memory(_module_state(source), f"a {type(source).__name__} module")
    if isinstance(source, Mapping):
        return _from_memory(source, "a state dict")
    if isinstance(source, str) and not _is_path(source):
        return _from_variant(source, cache_dir, progress)
    try:
        path = Path(source).expanduser()
    except TypeError as error:
        raise WeightsError(
            f"Weights cannot be taken from {type(source).__name__}: give a model name "
            f"({', '.join(VARIANTS)}), a path to a .pth, .pt or .safetensors file, "
            "a state dict, or a segment_anything Sam."
        ) from error
    return _from_file(path, str(path))


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file: unwrapped, official names, contiguous float32 on the CPU.

    They are not compared with any network (`load_checkpoint` does that). Raises `CheckpointError`.
    """
    _, content = read_container(path)
    with _naming(str(path)):
        return as_float32(unwrap(content))


def convert_checkpoint(
    source: str | os.PathLike[str] | Checkpoint,
    destination: str | os.PathLike[str],
    *,
    dtype: Literal["float32", "float16"] = "float32",
) -> Path:
    """Write a weights file (or a checkpoint already read) as .safetensors, whole or not at all.

    The metadata name the source, the variant, and the digest the new file will have when read. With
    "float16" the file is half as long and the numbers are rounded. Raises `CheckpointError` for
    weights that cannot be used, `OutputError` for a destination that cannot be written.
    """
    target = Path(destination)
    if target.suffix.lower() != ".safetensors":
        raise OutputError(f"{target}: the converted file must be named *.safetensors.")
    if dtype not in _DTYPES:
        raise OutputError(f"Weights cannot be written as {dtype!r}: use {' or '.join(_DTYPES)}.")
    if not isinstance(source, Checkpoint):
        path = Path(source)
        if target.exists() and path.exists() and target.samefile(path):
            raise OutputError(f"{target} is the file to be converted; choose another name.")
        source = _from_file(path, path.name)
    _write(target, _rounded(source, _DTYPES[dtype]), source)
    return target


def describe_file(path: Path) -> FileReport:
    """Say what a weights file is; raises `CheckpointError` with the reason when it cannot be used."""
    container, content = read_container(path)
    with _naming(str(path)):
        named = unwrap(content)
        architecture = recognise(named)
        as_float32(named)  # only for its checks
    hashes = hash_file(path)
    return FileReport(
        path=path,
        container=container,
        variant=architecture.variant,
        title=architecture.title,
        tensors=len(named),
        parameters=sum(tensor.numel() for tensor in named.values()),
        dtypes=tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in named.values()})),
        sha256=hashes.sha256,
        md5=hashes.md5,
        official=any(hashes.sha256 == row.sha256 for row in VARIANTS.values()),
    )


def _is_path(source: str) -> bool:
    """Whether a string is meant as a file: it has a separator or a known suffix, or exists."""
    if source in VARIANTS:
        return False
    separated = "/" in source or "\\" in source
    return separated or source.lower().endswith(_SUFFIXES) or (source != "" and Path(source).exists())


def _from_variant(name: str, cache_dir: Path, progress: Progress | None) -> Checkpoint:
    variant = get_variant(name)
    path = EMBEDDED if name == "vit_t" else fetch(variant, cache_dir, progress=progress)
    return _from_file(path, name)


def _from_file(path: Path, source: str) -> Checkpoint:
    _, content = read_container(path)
    with _naming(str(path)):
        named = unwrap(content)
        architecture = recognise(named)
        return Checkpoint(as_float32(named), architecture, source)


def _from_memory(state: Mapping[str, Tensor], source: str) -> Checkpoint:
    with _naming(source):
        named = unwrap(state)
        architecture = recognise(named)
        # Copied, lest training on changes the weights under a digest already taken.
        return Checkpoint(as_float32(named, copy=True), architecture, source)


def _module_state(module: nn.Module) -> dict[str, Tensor]:
    """A module's state dict, and its image normalisation, which `Sam` keeps out of it."""
    state: dict[str, Tensor] = dict(module.state_dict())
    for name in ("pixel_mean", "pixel_std"):
        value = getattr(module, name, None)
        if isinstance(value, Tensor):
            state[name] = value
    return state


@contextmanager
def _naming(source: str) -> Generator[None]:
    """Put the source before the message of a `CheckpointError`."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except RecursionError as error:
        raise CheckpointError(f"{source}: it is nested without end; a dict of named tensors was expected.") from error


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).numpy().data)
    return digest.hexdigest()


def _rounded(checkpoint: Checkpoint, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors as they will be written; refuses a number the dtype cannot hold."""
    # Cloned: safetensors refuses tensors that share memory, as two names of one file may.
    state = {name: tensor.to(dtype, copy=True) for name, tensor in checkpoint.state.items()}
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{checkpoint.source}: {name} holds numbers too large for {dtype}.")
    return state


def _write(target: Path, state: dict[str, Tensor], checkpoint: Checkpoint) -> None:
    """Write beside the target and rename, so that no half-written file ever bears its name."""
    metadata = {
        "format": "pt",
        "source": Path(checkpoint.source).name,
        "variant": checkpoint.architecture.variant or checkpoint.architecture.title,
        "digest": _digest({name: tensor.float() for name, tensor in state.items()}),
    }
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        save_file(state, temporary, metadata)
        os.replace(temporary, target)
    except Exception as error:
        raise OutputError(f"{target}: the file cannot be written ({error}).") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
