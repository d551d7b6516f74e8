"""All that is to be known of a CUDA GPU, in one command without network: tests that need one, then its benchmarks.

    python benchmarks/on_a_gpu.py [--minutes 10]

Each part runs in a process of its own and is ended when the time is over; parts that are left are named. The weights of
ViT-B and H are drawn at random: for the agreement of their masks see `big_models.py --weights`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = (
    "-m pytest -q -n 0 -k cuda -p no:cacheprovider tests/models/test_graphs.py tests/models/test_plain_vit.py",
    "-m pytest -q -n 0 -p no:cacheprovider tests/service/test_gpu.py",
    "benchmarks/big_models.py --device cuda --models vit_t,vit_b,vit_h --rounds 9",
    "benchmarks/everything.py --device cuda --model vit_h --sizes 3 --rounds 2 --ways square graphs",
    "benchmarks/everything.py --device cuda --sizes 0.4 3 --rounds 2 --ways exact square graphs",
    "benchmarks/attention_forms.py --device cuda --batch 1 8",
    "-m clickmask bench --device cuda --graphs --rounds 5",
    "benchmarks/big_models.py --device cuda --models vit_h --compile --rounds 5",
)


def main() -> int:
    """Run the parts; 1 where one failed, or the time was over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    end, failed = time.monotonic() + 60 * parser.parse_args().minutes, list[str]()
    for part in PARTS:
        begun = time.monotonic()
        sys.stdout.write(f"\n## {part}\n\n")
        sys.stdout.flush()
        try:
            code = subprocess.run([sys.executable, *part.split()], cwd=ROOT, timeout=max(0.0, end - begun)).returncode
            words = f"{time.monotonic() - begun:.0f} s"
        except subprocess.TimeoutExpired:
            code, words = 1, "no time was left"
        failed += [part] if code else []
        sys.stdout.write(f"\n({words})\n")
    sys.stdout.write("\n".join(["", *(f"failed: {part}" for part in failed), ""]))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
