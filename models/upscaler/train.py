"""Train the upscaler: `python -m models.upscaler.train --data DIR --vae CHECKPOINT --out DIR --minutes 10`; `--smoke`.

It learns from clean 64-pixel pictures and from those that the VAE gives back, so that it also sharpens the VAE.
Writes `checkpoint.pt` (read again by the next run) and `losses.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.cgan.train import load_vae
from models.emoji import data
from models.upscaler.net import UpscalerConfig, UpscalerNet
from models.vae.train import to_tensor

SOFT = 0.1  # of full brightness
CROP_PX = 20  # of the small picture
PICTURES = 1600  # as many as fit in memory at 256 pixels


@dataclass(frozen=True)
class Plan:
    """How long to train and how fast."""

    minutes: float
    batch: int = 16
    rate: float = 2e-3
    device: str = "cpu"
    steps: int = 10**9
    report_steps: int = 250


@dataclass(frozen=True)
class Views:
    """Pictures three times: clean (N, 64, 64, 3), through the VAE, and large (N, 256, 256, 3); uint8."""

    clean: np.ndarray
    through: np.ndarray
    large: np.ndarray


def load_views(folder: Path, vae: Path, held_out: bool, count: int = PICTURES) -> Views:
    """Return views of pictures of things that are, or are not, held out."""
    emoji = data.load(folder)
    rows = np.flatnonzero(emoji.held_out[emoji.thing] == held_out)
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:count])
    large = np.load(folder / "large.npy", mmap_mode="r")[rows]
    clean = data.on_white(emoji.rgba[rows])
    net, through = load_vae(vae), []
    with torch.inference_mode():
        for start in range(0, len(clean), 64):
            y = net.decoder(net.encoder(to_tensor(clean[start : start + 64]))[0]).clamp(-1, 1)
            through.append(y.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy())
    return Views(clean, np.concatenate(through), np.asarray(large))


def made_up(count: int = 16) -> Views:
    """Return large discs and their small copies, for the smoke test."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    large = np.full((count, 256, 256, 3), 255, np.uint8)
    for picture in large:
        picture[(y - rng.integers(90, 170)) ** 2 + (x - rng.integers(90, 170)) ** 2 < 70**2] = rng.integers(0, 255, 3)
    clean = large.reshape(count, 64, 4, 64, 4, 3).mean((2, 4)).round().astype(np.uint8)
    return Views(clean, clean, large)


class Training:
    """A run that can stop at any time and go on later."""

    def __init__(self, plan: Plan, out: Path, config: UpscalerConfig) -> None:
        self.plan, self.out = plan, out
        torch.manual_seed(0)
        self.net = UpscalerNet(config).to(plan.device)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.rng = np.random.default_rng(0)
        self.step, self.spent_s = 0, 0.0
        out.mkdir(parents=True, exist_ok=True)
        if (out / "checkpoint.pt").exists():
            self._restore(torch.load(out / "checkpoint.pt", weights_only=True))

    def _restore(self, saved: dict[str, Any]) -> None:
        self.net.load_state_dict(saved["net"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step, self.spent_s = saved["step"], saved["spent_s"]
        self.rng = np.random.default_rng(self.step)

    def save(self) -> None:
        """Write the checkpoint so that a crash leaves the old one whole."""
        saved = {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}
        torch.save({**saved, "step": self.step, "spent_s": self.spent_s}, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")

    def run(self, views: Views, unseen: Views) -> list[float]:
        """Train until the plan's minutes are spent; return the loss of each step of this run."""
        history: list[float] = []
        started, before_s, limit_s = time.monotonic(), self.spent_s, self.plan.minutes * 60
        while self.spent_s < limit_s and self.step < self.plan.steps:
            for group in self.optimiser.param_groups:
                group["lr"] = self.plan.rate * (0.51 + 0.49 * math.cos(math.pi * min(self.spent_s / limit_s, 1.0)))
            history.append(self._advance(*self._batch(views)))
            self.spent_s = before_s + time.monotonic() - started
            if self.step % self.plan.report_steps == 0:
                self._report(history[-1], unseen)
        self._report(history[-1] if history else math.nan, unseen)
        return history

    def _batch(self, views: Views) -> tuple[Tensor, Tensor]:
        small, large = [], []
        for row in self.rng.integers(len(views.large), size=self.plan.batch):
            top, left = self.rng.integers(0, 64 - CROP_PX + 1, 2)
            view = views.clean if self.rng.random() < 0.4 else views.through
            turn = int(self.rng.integers(2)) * 2 - 1
            small.append(view[row, top : top + CROP_PX, left : left + CROP_PX][:, ::turn])
            big = views.large[row, 4 * top : 4 * (top + CROP_PX), 4 * left : 4 * (left + CROP_PX)]
            large.append(big[:, ::turn])
        return self._tensor(np.stack(small)), self._tensor(np.stack(large))

    def _tensor(self, rgb: np.ndarray) -> Tensor:
        return (to_tensor(rgb, self.plan.device) + 1) / 2

    def _advance(self, x: Tensor, large: Tensor) -> float:
        amp = x.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
            y = self.net(x).float()
        loss = soft(y - large) + soft(y.diff(dim=3) - large.diff(dim=3)) + soft(y.diff(dim=2) - large.diff(dim=2))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return loss.item()

    def _report(self, loss: float, unseen: Views) -> None:
        scores = measure(self.net, unseen, self.plan.device)
        with (self.out / "losses.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step, "spent_s": round(self.spent_s), "loss": loss, **scores}) + "\n")
        self.save()


def soft(error: Tensor) -> Tensor:
    """Return the mean of a loss that is square near zero and absolute beyond; plain L1 learns nothing here."""
    return ((error**2 + SOFT**2).sqrt() - SOFT).mean()


def measure(net: UpscalerNet, views: Views, device: str, count: int = 16) -> dict[str, float]:
    """Return the PSNR in dB of clean pictures enlarged by the net, and by bicubic and bilinear interpolation."""
    x, large = ((to_tensor(part[:count], device) + 1) / 2 for part in (views.clean, views.large))
    with torch.inference_mode():
        made = {"net_db": net(x).clamp(0, 1)}
    for mode in ("bicubic", "bilinear"):
        made[f"{mode}_db"] = functional.interpolate(x, scale_factor=4, mode=mode, align_corners=False).clamp(0, 1)
    return {k: round(float((-10 * torch.log10(((v - large) ** 2).mean((1, 2, 3)))).mean()), 2) for k, v in made.items()}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the upscaler")
    parser.add_argument("--data", type=Path, help="what models.emoji.data wrote")
    parser.add_argument("--vae", type=Path, help="checkpoint of models.vae.train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a few seconds on made-up pictures")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.smoke:
        smoke(args.out)
        return
    if args.data is None or args.vae is None:
        parser.error("--data and --vae are needed")
    views = load_views(args.data, args.vae, held_out=False)
    unseen = load_views(args.data, args.vae, held_out=True)
    Training(Plan(args.minutes, device=args.device), args.out, UpscalerConfig()).run(views, unseen)


def smoke(out: Path, steps: int = 60) -> tuple[float, float]:
    """Train a small net on made-up pictures; return the loss at the start and at the end."""
    views = made_up()
    history = Training(Plan(1, batch=8, steps=steps), out, UpscalerConfig(channels=8, layers=1)).run(views, views)
    first, last = sum(history[:5]) / 5, sum(history[-5:]) / 5
    print(f"loss {first:.4f} -> {last:.4f} in {len(history)} steps")
    return first, last


if __name__ == "__main__":
    main()
