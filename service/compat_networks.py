"""What `SamPredictor` computes with: our network, made from a `Segmenter` or from a segment_anything `Sam`."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from segment_anything import modeling
from torch import Tensor, nn

from ..models.checkpoints import Checkpoint
from ..models.errors import CheckpointError, SettingsError, WeightsError
from ..models.plain_vit import PlainViT
from ..models.recognise import Architecture, recognise
from ..models.sam import Sam
from ..models.unwrap import as_float32, unwrap
from .compat_models import fingerprint, module_of
from .segmenter import Segmenter


class SegmenterNetwork:
    """The network of a segmenter. `module` is a copy of it for code that looks inside, made when first asked for."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._sam = segmenter._drop_in_sam

    def current(self) -> Sam:
        return self._sam

    refreshed = current

    @property
    def device(self) -> torch.device:
        return self._sam.device

    @cached_property
    def module(self) -> nn.Module:
        weights = self._segmenter._checkpoint
        return module_of(weights.architecture, weights.state).to(self.device)

    def setting(self, name: str) -> Any:
        """`image_format` or `mask_threshold`."""
        return getattr(self.__dict__.get("module", modeling.Sam), name)


class ModuleNetwork:
    """Our network with the weights of a `Sam` module, which it follows to other devices and other weights.

    A plain ViT encoder is the module's own, used where it is; the rest is a copy, read anew once the module changed.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module
        self._read()

    @property
    def device(self) -> torch.device:
        return self.module.device

    def setting(self, name: str) -> Any:
        """`image_format` or `mask_threshold`."""
        return getattr(self.module, name)

    def current(self) -> Sam:
        """The network, on the module's device."""
        return self._sam if self._sam.device == self.device else self._read()

    def refreshed(self) -> Sam:
        """The network with the weights that the module has now: a millisecond to look, more if they changed."""
        return self._sam if self._mark == self._look() else self._read()

    def _look(self) -> tuple[object, ...]:
        return self.device, self.module.image_encoder, fingerprint(self.module)

    def _read(self) -> Sam:
        named, architecture = _weights_of(self.module)
        encoder: Any = self.module.image_encoder
        dtype = next(encoder.parameters()).dtype
        own = architecture.kind == "vit"
        if own:
            named = {name: tensor for name, tensor in named.items() if not name.startswith("image_encoder.")}
        weights = Checkpoint(as_float32(named, copy=True), architecture, "a Sam module")
        self._mark = self._look()
        self._sam = Sam(weights, self.device, dtype, PlainViT(encoder) if own else None)
        return self._sam


Network = SegmenterNetwork | ModuleNetwork


def network_of(model: object) -> Network:
    """The network of a `Segmenter`, or of a `Sam` of segment_anything, MobileSAM or the registry.

    Raises:
        SettingsError: a segmenter of HQ-SAM. WeightsError: anything else, or a CheckpointError for a module that is not
            plain SAM.
    """
    if isinstance(model, Segmenter):
        if model._network.sam.architecture.is_hq:
            raise SettingsError(
                "the drop-in classes are SAM's, and this is HQ-SAM: ask it by Segmenter.open(photo).segment(...)"
            )
        return SegmenterNetwork(model)
    parts = ("image_encoder", "prompt_encoder", "mask_decoder", "device")
    if isinstance(model, nn.Module) and all(hasattr(model, name) for name in parts):
        return ModuleNetwork(model)
    raise WeightsError(f"SamPredictor takes a Segmenter or a segment_anything Sam, not {type(model).__name__}.")


def _weights_of(module: nn.Module) -> tuple[dict[str, Tensor], Architecture]:
    """The module's tensors under their official names, not copied, and what network they make."""
    pixels = {name: getattr(module, name) for name in ("pixel_mean", "pixel_std") if hasattr(module, name)}
    try:
        named = unwrap({**module.state_dict(), **pixels})
        architecture = recognise(named)
    except CheckpointError as error:
        raise CheckpointError(f"a {type(module).__name__} module: {error}") from error
    if architecture.is_hq:
        raise CheckpointError(f"a {type(module).__name__} module: it is HQ-SAM; give it to Segmenter instead")
    return named, architecture
