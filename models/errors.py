"""Every error clickmask raises on purpose, in one tree.

    ClickmaskError
    ├── ImageError            a picture that cannot be read or used
    ├── PromptError           points, labels, box or previous mask that make no sense
    ├── SettingsError         an unknown or impossible device, precision, fit, ...
    ├── WeightsError          a checkpoint that cannot be used
    │   ├── UnknownVariantError   no such model name
    │   ├── CheckpointError       a file that is not (whole, safe, plain) SAM weights
    │   ├── ChecksumError         a file whose hash is not the published one
    │   └── DownloadError         the weights could not be fetched
    ├── EmbeddingError        a saved embedding of another model or image
    ├── ClosedError           an image that was closed
    ├── OutputError           a result that cannot be written where it was asked for
    ├── StoppedError          a batch that could not go on; what is done is kept
    ├── ServiceError          a server that did not do what a client asked
    │   ├── ServiceUnavailableError   busy, stopping or not reached until the deadline
    │   └── AccessError               the caller is not known there, or may not do this
    └── MissingExtraError     an optional part that is not installed

A message says what was expected, what came, and what to do. `PredictorStateError` and
`PredictorArgumentError` exist for the drop-in classes alone: they are also the built-in types that
`segment_anything` raises there.
"""

from __future__ import annotations


class ClickmaskError(Exception):
    """The base of every error that clickmask raises on purpose."""


class ImageError(ClickmaskError, ValueError):
    """A picture cannot be read or used; the message names the file or argument."""


class PromptError(ClickmaskError, ValueError):
    """A prompt makes no sense; the message names the field (points, labels, box, previous)."""


class SettingsError(ClickmaskError, ValueError):
    """A setting (device, precision, fit, refine, ...) is unknown or impossible here."""


class WeightsError(ClickmaskError):
    """A checkpoint cannot be used."""


class UnknownVariantError(WeightsError, ValueError):
    """There is no model of that name."""


class CheckpointError(WeightsError):
    """A file is missing, truncated, unsafe, or not SAM weights."""


class ChecksumError(WeightsError):
    """A file's hash is not the published one."""


class DownloadError(WeightsError):
    """The weights could not be fetched."""


class EmbeddingError(ClickmaskError):
    """A saved embedding cannot be read, or belongs to another model or image."""


class ClosedError(ClickmaskError, RuntimeError):
    """The image was closed and its memory given back."""


class OutputError(ClickmaskError):
    """A result cannot be written where it was asked for."""


class StoppedError(ClickmaskError):
    """A batch could not go on: the disk is full, the device broke. What is done is kept, the same call goes on."""


class ServiceError(ClickmaskError):
    """A server did not do what a client asked.

    status: of HTTP, None when no answer came. code: the server's word for programs. field: where in the request.
    request_id: under which the server's log tells more. Each is None where the server did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        field: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.field, self.request_id = status, code, field, request_id


class ServiceUnavailableError(ServiceError):
    """Until the deadline the server was busy, stopping, or not to be reached; later the same may succeed."""


class AccessError(ServiceError):
    """The server does not know the caller (a token is missing or wrong), or does not allow this."""


class MissingExtraError(ClickmaskError, ImportError):
    """An optional part of clickmask is not installed."""


class PredictorStateError(ClickmaskError, RuntimeError):
    """`SamPredictor` was asked for a mask, or for the embedding, before it was given an image."""


class PredictorArgumentError(ClickmaskError, AssertionError):
    """`SamPredictor` was given an argument that `segment_anything` refuses by assertion."""
