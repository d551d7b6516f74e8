"""clickmask: cut any object out of any image with a click.

    from clickmask import Segmenter

    image = Segmenter().open("dog.jpg")
    image.click(420, 310).save("dog.png")

This page is all that is public; names are loaded when first used, so that `clickmask --help` need not wait for torch.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from .models.errors import (
        AccessError,
        CheckpointError,
        ChecksumError,
        ClickmaskError,
        ClosedError,
        DownloadError,
        EmbeddingError,
        ImageError,
        MissingExtraError,
        OutputError,
        PredictorArgumentError,
        PredictorStateError,
        PromptError,
        ServiceError,
        ServiceUnavailableError,
        SettingsError,
        StoppedError,
        UnknownVariantError,
        WeightsError,
    )
    from .service.client import AsyncClient, Client
    from .service.compat import SamPredictor, sam_model_registry
    from .service.compat_everything import SamAutomaticMaskGenerator
    from .service.detections import to_detections
    from .service.everything.found import Found, FoundMask
    from .service.everything.proposals import Proposals
    from .service.masks import Mask
    from .service.open_image import OpenImage
    from .service.prompts import Prompt
    from .service.saving import save_masks
    from .service.segmenter import Segmenter
    from .service.shards.reader import MaskShards
    from .service.subject.answer import NoSubject, SubjectMask
    from .service.thing import Thing

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "AccessError",
    "AsyncClient",
    "CheckpointError",
    "ChecksumError",
    "ClickmaskError",
    "Client",
    "ClosedError",
    "DownloadError",
    "EmbeddingError",
    "Found",
    "FoundMask",
    "ImageError",
    "Mask",
    "MaskShards",
    "MissingExtraError",
    "NoSubject",
    "OpenImage",
    "OutputError",
    "PredictorArgumentError",
    "PredictorStateError",
    "Prompt",
    "PromptError",
    "Proposals",
    "sam_model_registry",
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "save_masks",
    "Segmenter",
    "ServiceError",
    "ServiceUnavailableError",
    "SettingsError",
    "StoppedError",
    "SubjectMask",
    "Thing",
    "to_detections",
    "UnknownVariantError",
    "WeightsError",
]

_HOMES = {
    "AsyncClient": "service.client",
    "Client": "service.client",
    "Found": "service.everything.found",
    "FoundMask": "service.everything.found",
    "Mask": "service.masks",
    "MaskShards": "service.shards.reader",
    "NoSubject": "service.subject.answer",
    "OpenImage": "service.open_image",
    "Prompt": "service.prompts",
    "Proposals": "service.everything.proposals",
    "SamAutomaticMaskGenerator": "service.compat_everything",
    "SamPredictor": "service.compat",
    "Segmenter": "service.segmenter",
    "SubjectMask": "service.subject.answer",
    "Thing": "service.thing",
    "sam_model_registry": "service.compat",
    "save_masks": "service.saving",
    "to_detections": "service.detections",
}


def __getattr__(name: str) -> _typing.Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_importlib.import_module(f".{_HOMES.get(name, 'models.errors')}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
