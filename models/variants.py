"""The networks clickmask knows by name: sizes, official files and their hashes, as one table.

Sizes are those of `segment_anything.build_sam` and `mobile_sam.build_sam`. The SHA-256 sums are as
published by others who pinned the official files; the files could not be downloaded here to check
them. The six hex digits in the names of Meta's files are the first of the file's MD5: a download
is checked against both.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from .errors import UnknownVariantError

Kind = Literal["tiny_vit", "vit"]


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    `global_attention` are the blocks of a "vit" that attend over the whole image. For "tiny_vit",
    `embed_dim` and `heads` are those of the last stage and `depth` counts the blocks of all stages.
    `parameters` counts the numbers in the tensors SAM uses, fixed statistics included.
    """

    name: str
    title: str
    kind: Kind
    embed_dim: int
    depth: int
    heads: int
    global_attention: tuple[int, ...]
    file_name: str
    url: str
    sha256: str
    md5_prefix: str | None
    licence: str
    parameters: int


_META = "https://dl.fbaipublicfiles.com/segment_anything/"

VARIANTS: dict[str, Variant] = {
    "vit_t": Variant(
        name="vit_t",
        title="MobileSAM (TinyViT)",
        kind="tiny_vit",
        embed_dim=320,
        depth=12,
        heads=10,
        global_attention=(),
        file_name="mobile_sam.pt",
        # For reference: vit_t comes with the package and is never downloaded.
        url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        md5_prefix=None,
        licence="Apache-2.0",
        parameters=9_818_564,
    ),
    "vit_b": Variant(
        name="vit_b",
        title="SAM ViT-B",
        kind="vit",
        embed_dim=768,
        depth=12,
        heads=12,
        global_attention=(2, 5, 8, 11),
        file_name="sam_vit_b_01ec64.pth",
        url=_META + "sam_vit_b_01ec64.pth",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        md5_prefix="01ec64",
        licence="Apache-2.0",
        parameters=93_735_728,
    ),
    "vit_l": Variant(
        name="vit_l",
        title="SAM ViT-L",
        kind="vit",
        embed_dim=1024,
        depth=24,
        heads=16,
        global_attention=(5, 11, 17, 23),
        file_name="sam_vit_l_0b3195.pth",
        url=_META + "sam_vit_l_0b3195.pth",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        md5_prefix="0b3195",
        licence="Apache-2.0",
        parameters=312_343_088,
    ),
    "vit_h": Variant(
        name="vit_h",
        title="SAM ViT-H",
        kind="vit",
        embed_dim=1280,
        depth=32,
        heads=16,
        global_attention=(7, 15, 23, 31),
        file_name="sam_vit_h_4b8939.pth",
        url=_META + "sam_vit_h_4b8939.pth",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        md5_prefix="4b8939",
        licence="Apache-2.0",
        parameters=641_090_864,
    ),
}

# What people type for a variant. Suggested, never silently taken: "default" is vit_h elsewhere.
_NICKNAMES = {
    "b": "vit_b",
    "base": "vit_b",
    "l": "vit_l",
    "large": "vit_l",
    "h": "vit_h",
    "huge": "vit_h",
    "default": "vit_h",
    "t": "vit_t",
    "tiny": "vit_t",
    "mobile": "vit_t",
    "mobilesam": "vit_t",
    "mobile_sam": "vit_t",
}


def get_variant(name: str) -> Variant:
    """Return the row called `name`; raise `UnknownVariantError` naming the nearest and the known ones."""
    if name in VARIANTS:
        return VARIANTS[name]
    nearest = _nearest(name)
    hint = f" Did you mean {nearest!r}?" if nearest else ""
    raise UnknownVariantError(f"There is no model called {name!r}.{hint} Known: {', '.join(VARIANTS)}.")


def _nearest(name: str) -> str | None:
    """The variant somebody who typed `name` most likely meant."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_").removeprefix("sam_")
    if plain in VARIANTS:
        return plain
    if plain in _NICKNAMES:
        return _NICKNAMES[plain]
    begun = [variant for variant in VARIANTS if plain.startswith(variant)]
    close = difflib.get_close_matches(plain, [*VARIANTS, *_NICKNAMES], n=1)
    found = (begun or close or [None])[0]
    return found if found is None else _NICKNAMES.get(found, found)
