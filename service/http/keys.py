"""Ids of images and masks: digests keyed with the server's secret, so that nobody can guess or reuse another's.

An id is a digest of what it stands for and whose it is, and a tag made of that digest and the caller. So the same
upload by the same caller always has the same id, over restarts too; and of an id that is not here any more the server
can still tell whether it was this caller's (410: upload again) or not (404: as if it never was).
"""

from __future__ import annotations

import base64
import hmac

from .errors import ApiError
from .secret import sign

_KINDS = {"image_gone": ("img", "win"), "mask_gone": ("msk",), "batch_gone": ("bat",)}
_DIGEST, _TAG = 15, 6  # bytes; base32 without padding makes 24 and 10 characters


class Keys:
    """Makes and checks ids with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def image(self, content: bytes, model: str, caller: str) -> str:
        """The id of an image. content: SHA-256 of its encoded bytes; model: digest of the weights and settings."""
        return self._make("img", caller, content, model)

    def window(self, parent: str, box: tuple[int, int, int, int], caller: str) -> str:
        """The id of a window of an image."""
        return self._make("win", caller, parent, repr(box))

    def mask(self, image: str, question: str, index: int, caller: str) -> str:
        """The id of an answer to a question about an image or window. question: canonical text."""
        return self._make("msk", caller, image, question, str(index))

    def batch(self, request: str, caller: str) -> str:
        """The id of a batch. request: canonical text, or anything that is like no other."""
        return self._make("bat", caller, request)

    def check(self, key: str, caller: str, gone: str) -> ApiError:
        """Why an id that is not in the store is not: 410 if it was this caller's, else 404.

        gone: the code of the 410, "image_gone" (for windows too), "mask_gone" or "batch_gone"; an id of another kind
        is 404.
        """
        kind, _, rest = key.partition("_")
        digest, tag = rest[: _length(_DIGEST)], rest[_length(_DIGEST) :]
        ours = kind in _KINDS[gone] and hmac.compare_digest(
            tag.encode("utf-8", "replace"), self._tag(kind, digest, caller).encode()
        )
        if ours:
            return ApiError(410, gone, "the server no longer holds this; send it again")
        return ApiError(404, "not_found", "there is nothing of yours under this id")

    def _make(self, kind: str, caller: str, *parts: str | bytes) -> str:
        digest = _text(sign(self._secret, "id", kind, caller, *parts)[:_DIGEST])
        return f"{kind}_{digest}{self._tag(kind, digest, caller)}"

    def _tag(self, kind: str, digest: str, caller: str) -> str:
        return _text(sign(self._secret, "tag", kind, digest.encode("utf-8", "replace"), caller)[:_TAG])


def _text(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _length(size: int) -> int:
    return -(-size * 8 // 5)
