"""pyarrow, which is installed on wish."""

from __future__ import annotations

from typing import Any

from ...models.errors import MissingExtraError


def need_pyarrow() -> Any:
    """The module `pyarrow`, with `pyarrow.parquet` loaded. Raises MissingExtraError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(f"shards need pyarrow ({error}): pip install 'clickmask[shards]'") from None
    return pyarrow
