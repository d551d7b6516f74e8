"""The HTTP service from Python: `Client` and `AsyncClient` have the verbs of `Segmenter`, none of them needs torch.

The logic is written once, as coroutines over a `Transport`: under asyncio they wait, under `Client` they block.
"""

from .async_client import AsyncClient
from .async_image import AsyncRemoteImage, AsyncThing
from .client import Client
from .found import RemoteFound
from .image import RemoteImage
from .masks import AsyncRemoteMask, RemoteMask

__all__ = [
    "AsyncClient",
    "AsyncRemoteImage",
    "AsyncRemoteMask",
    "AsyncThing",
    "Client",
    "RemoteFound",
    "RemoteImage",
    "RemoteMask",
]
