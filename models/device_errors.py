"""Which errors mean that a device is broken: nothing that comes after can be trusted, or will work."""

from __future__ import annotations

import torch


def is_device_error(error: BaseException) -> bool:
    """Whether a device failed, other than by having no memory left; a CUDA context does not recover from it."""
    accelerator = getattr(torch, "AcceleratorError", ())
    return isinstance(error, accelerator) or (isinstance(error, RuntimeError) and "CUDA error" in str(error))
