"""What every test gets: a tree that pytest reads rightly, and none of the caller's settings."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # torch takes a second to import, and not every test needs it
    from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent


class _RootIsPlain:
    """Keeps pytest from importing the repository root as a package named after its folder.

    The root holds `__init__.py`, since it is the package `clickmask`; imported a second time under
    another name, every class would exist twice. A `conftest.py` in the root itself would not help: it would
    be imported in that very way.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_RootIsPlain())
    # A shell that starts the tests in the background has them ignore Ctrl-C, and the programs under test would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("CLICKMASK_")]:
        del os.environ[name]
    if hasattr(config, "workerinput"):  # tests side by side share the cores: threads of each would wait for the others'
        workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a browser come last: Playwright's event loop runs until the end, and `asyncio.run` bears no other.

    Run side by side, files must be handed out in this order: `make test` says so.
    """
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def empty_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test finds, or leaves, weights in the caller's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def tiny_sam_state() -> dict[str, Tensor]:
    """The state dict of a real but small SAM: seeded, ViT of width 32 with 2 blocks, the second global."""
    from functools import partial

    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        encoder = ImageEncoderViT(
            img_size=1024,
            patch_size=16,
            embed_dim=32,
            depth=2,
            num_heads=2,
            mlp_ratio=4,
            out_chans=256,
            qkv_bias=True,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=(1,),
        )
        prompts = PromptEncoder(
            embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16
        )
        transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
        decoder = MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3)
        state = Sam(encoder, prompts, decoder).state_dict()
        # segment_anything begins positions at zero, which would hide a mistake in using them.
        for name, tensor in state.items():
            if "pos_embed" in name or "rel_pos" in name:
                tensor.normal_(std=0.1)
    return dict(state)


@pytest.fixture(scope="session")
def hq_original() -> Any:
    """HQ-SAM as its original has it (package segment-anything-hq), seeded: width 32, 2 blocks, the second global."""
    import warnings
    from functools import partial

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's deprecations
        from segment_anything_hq.modeling import ImageEncoderViT, MaskDecoderHQ, PromptEncoder, TwoWayTransformer
        from segment_anything_hq.modeling import Sam as HqSam

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        encoder = ImageEncoderViT(
            embed_dim=32,
            depth=2,
            num_heads=2,
            out_chans=256,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=(1,),
        )
        prompts = PromptEncoder(
            embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16
        )
        transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
        decoder = MaskDecoderHQ(transformer_dim=256, transformer=transformer, num_multimask_outputs=3, vit_dim=32)
        sam = HqSam(encoder, prompts, decoder).eval()
        with torch.no_grad():
            for name, tensor in sam.named_parameters():
                if "pos" in name or "bias" in name:
                    tensor.normal_(std=0.1)
    return sam


@pytest.fixture(scope="session")
def hq_file(hq_original: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a checkpoint."""
    import torch

    path = tmp_path_factory.mktemp("hq") / "sam_hq_small.pth"
    torch.save(hq_original.state_dict(), path)
    return path
