"""Write the shipped weights of the image families from their training checkpoints.

`python -m models.weights.ship --data DIR --vae CKPT --cgan DIR --upscaler CKPT --version 1 [--out DIR] [--only NAME …]`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from models.cgan.latents import remember
from models.cgan.net import CGanConfig
from models.cgan.train import cached_pairs
from models.registry import WEIGHTS
from models.upscaler.net import UpscalerConfig
from models.vae.config import VaeConfig
from models.weights import files


def arrays(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return a state dict as numpy arrays."""
    return {key: value.detach().contiguous().cpu().numpy() for key, value in state.items()}


def main() -> None:
    """Read the command line and write the files and the manifest."""
    parser = argparse.ArgumentParser(description="Ship the image weights")
    for name in ("data", "vae", "cgan", "upscaler"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--only", nargs="*", default=["vae", "upscaler", "cgan", "memory"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    if "vae" in args.only:
        net = torch.load(args.vae, weights_only=True)["mean_net"]
        files.write("vae", arrays(net), VaeConfig(), args.out, args.version)
    if "upscaler" in args.only:
        net = torch.load(args.upscaler, weights_only=True)["net"]
        files.write("upscaler", arrays(net), UpscalerConfig(), args.out, args.version)
    if "cgan" in args.only:
        net = torch.load(args.cgan / "checkpoint.pt", weights_only=True)["mean_net"]
        files.write("cgan", arrays(net), CGanConfig(), args.out, args.version)
    if "memory" in args.only:
        memory = remember(args.data, cached_pairs(args.data, args.vae, args.cgan))
        kept = {key: value for key, value in vars(memory).items() if isinstance(value, np.ndarray)}
        files.write("memory", kept, memory.config, args.out, args.version)
    total = sum(file.stat().st_size for file in args.out.glob("*.safetensors"))
    print(f"{total / 1e6:.1f} MB in {args.out}")


if __name__ == "__main__":
    main()
