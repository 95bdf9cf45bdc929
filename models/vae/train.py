"""Train the VAE: `python -m models.vae.train --data DIR --out DIR --minutes 60`; `--smoke` for made-up pictures.

Writes `checkpoint.pt` (read again by the next run), `losses.jsonl` and `grid.png` (a row of pictures, a row of
reconstructions, and so on).
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
from PIL import Image
from torch import Tensor
from torch.nn import functional

from models.emoji import data, edits
from models.vae.config import VaeConfig
from models.vae.net import VaeNet

KL_WEIGHT = 1e-3
EDGE_WEIGHT = 1.0
COLOUR_WEIGHT = 1.0  # of the mean of 8 × 8 pixels: without it hues come last
EMA_DECAY = 0.998


@dataclass(frozen=True)
class Plan:
    """How long to train, how fast, and on what."""

    minutes: float
    batch: int = 16
    rate: float = 2e-3
    device: str = "cpu"
    steps: int = 10**9
    warm_up_steps: int = 200
    report_steps: int = 500


def pictures(folder: Path, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return training pictures, edited ones among them, and those of held-out things; (N, 64, 64, 3) uint8 each."""
    emoji = data.load(folder)
    rng = np.random.default_rng(seed)
    held_out = emoji.held_out[emoji.thing]
    plain, edited = data.on_white(emoji.rgba[~held_out]), folder / "edited.npy"
    if not edited.exists():
        np.save(edited, np.stack([_edit(emoji, int(row), rng) for row in np.flatnonzero(~held_out) for _ in range(2)]))
    return np.concatenate([plain, plain, np.load(edited)]), data.on_white(emoji.rgba[held_out])


def _edit(emoji: data.Emoji, row: int, rng: np.random.Generator) -> np.ndarray:
    picture = emoji.rgba[row]
    if rng.random() < 0.6:
        picture = edits.recolour(picture, edits.COLOURS[rng.integers(len(edits.COLOURS))])
    if rng.random() < 0.5:
        mood = edits.MOODS[rng.integers(len(edits.MOODS))]
        sign = [i for i, t in enumerate(emoji.things) if t.key == mood.sign]
        rows = np.flatnonzero(np.isin(emoji.thing, sign) & (emoji.style == emoji.style[row]))
        if len(rows):
            picture = edits.with_sign(picture, emoji.rgba[rows[0]], mood)
    return data.on_white(picture)


def made_up(count: int = 64) -> np.ndarray:
    """Return discs of random colours and places, (N, 64, 64, 3) uint8, for the smoke test."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    found = np.full((count, 64, 64, 3), 255, np.uint8)
    for picture in found:
        centre_y, centre_x, radius = rng.integers(20, 44), rng.integers(20, 44), rng.integers(8, 20)
        picture[(y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2] = rng.integers(0, 255, 3)
    return found


def to_tensor(rgb: np.ndarray, device: str = "cpu") -> Tensor:
    """Turn (N, H, W, 3) uint8 into (N, 3, H, W) float32 in [-1, 1], channels last in memory."""
    return torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def losses(net: VaeNet, x: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
    """Return what to minimise and its parts: errors of pixels, edges and mean colours, divergence in nats."""
    amp = x.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
        mean, log_variance = (part.float() for part in net.encoder(x))
        noise = torch.randn(mean.shape, generator=generator).to(x.device)
        y = net.decoder(mean + noise * (log_variance / 2).exp()).float()
    error = functional.l1_loss(y, x)
    edge = functional.l1_loss(y.diff(dim=3), x.diff(dim=3)) + functional.l1_loss(y.diff(dim=2), x.diff(dim=2))
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    colour = functional.l1_loss(functional.avg_pool2d(y, 8), functional.avg_pool2d(x, 8))
    parts = {"error": error.item(), "edge": edge.item(), "colour": colour.item(), "kl": kl.item()}
    return error + EDGE_WEIGHT * edge + COLOUR_WEIGHT * colour + KL_WEIGHT * kl, parts


def psnr_db(net: VaeNet, rgb: np.ndarray, device: str) -> float:
    """Return the mean PSNR of reconstructions from the mean latents, over pictures, in dB."""
    with torch.no_grad():
        x = to_tensor(rgb, device)
        y = net.decoder(net.encoder(x)[0]).clamp(-1, 1)
    return float((10 * torch.log10(4 / ((y - x) ** 2).mean((1, 2, 3)).clamp_min(1e-6))).mean())


class Training:
    """A run that can stop at any time and go on later."""

    def __init__(self, plan: Plan, out: Path, config: VaeConfig) -> None:
        self.plan, self.out = plan, out
        torch.manual_seed(0)
        self.net = VaeNet(config).to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_net = VaeNet(config).to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_net.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(self.net.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.generator = torch.Generator().manual_seed(0)
        self.step, self.spent_s = 0, 0.0
        out.mkdir(parents=True, exist_ok=True)
        if (out / "checkpoint.pt").exists():
            self._restore(torch.load(out / "checkpoint.pt", weights_only=True))

    def _restore(self, saved: dict[str, Any]) -> None:
        self.net.load_state_dict(saved["net"])
        self.mean_net.load_state_dict(saved["mean_net"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step, self.spent_s = saved["step"], saved["spent_s"]
        self.generator.manual_seed(self.step)

    def save(self) -> None:
        """Write the checkpoint so that a crash leaves the old one whole."""
        saved = {
            "net": self.net.state_dict(),
            "mean_net": self.mean_net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
        }
        torch.save(saved, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")

    def run(self, rgb: np.ndarray, unseen: np.ndarray) -> list[float]:
        """Train until the plan's minutes are spent; return the total loss of each step of this run."""
        history: list[float] = []
        started, before_s = time.monotonic(), self.spent_s
        limit_s = self.plan.minutes * 60
        while self.spent_s < limit_s and self.step < self.plan.steps:
            rate = self._rate(self.spent_s / limit_s)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            total, parts = self._advance(self._batch(rgb))
            history.append(total)
            self.spent_s = before_s + time.monotonic() - started
            if self.step % self.plan.report_steps == 0:
                self._report(parts, unseen)
        self._report({}, unseen)
        return history

    def _rate(self, done: float) -> float:
        return (
            self.plan.rate
            * min(1.0, (self.step + 1) / self.plan.warm_up_steps)
            * (0.51 + 0.49 * math.cos(math.pi * min(done, 1.0)))
        )

    def _batch(self, rgb: np.ndarray) -> Tensor:
        rows = torch.randint(len(rgb), (self.plan.batch,), generator=self.generator).numpy()
        x = to_tensor(rgb[rows], self.plan.device)
        return x.flip(3) if torch.rand((), generator=self.generator) < 0.3 else x

    def _advance(self, x: Tensor) -> tuple[float, dict[str, float]]:
        loss, parts = losses(self.net, x, self.generator)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean_net.parameters()), list(self.net.parameters()), 1 - decay)
        return loss.item(), parts

    def _report(self, parts: dict[str, float], unseen: np.ndarray) -> None:
        psnr = psnr_db(self.mean_net, unseen[:96], self.plan.device)
        line = {"step": self.step, "spent_s": round(self.spent_s), **parts, "unseen_psnr_db": round(psnr, 2)}
        with (self.out / "losses.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        draw_grid(self.mean_net, unseen[:: max(1, len(unseen) // 48)][:48], self.out / "grid.png", self.plan.device)
        self.save()


def draw_grid(net: VaeNet, rgb: np.ndarray, path: Path, device: str) -> None:
    """Save rows of 16 pictures, each above its reconstruction."""
    with torch.no_grad():
        y = net.decoder(net.encoder(to_tensor(rgb, device))[0]).clamp(-1, 1)
    back = y.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    rows = []
    for start in range(0, len(rgb) - len(rgb) % 16, 16):
        rows += [np.concatenate(list(part[start : start + 16]), 1) for part in (rgb, back)]
    if rows:
        Image.fromarray(np.concatenate(rows)).save(path)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the VAE")
    parser.add_argument("--data", type=Path, help="what models.emoji.data wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a few seconds on made-up pictures")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.smoke:
        smoke(args.out)
        return
    if args.data is None:
        parser.error("--data is needed: make it with `python -m models.emoji.data --out DIR`")
    rgb, unseen = pictures(args.data)
    Training(Plan(args.minutes, device=args.device), args.out, VaeConfig()).run(rgb, unseen)


def smoke(out: Path, steps: int = 80) -> tuple[float, float]:
    """Train a small net on made-up pictures; return the loss at the start and at the end."""
    config = VaeConfig(encoder_16=16, encoder_8=16, decoder_8=24, decoder_16=16, decoder_32=8)
    rgb = made_up()
    history = Training(Plan(1, steps=steps, warm_up_steps=10), out, config).run(rgb, rgb[:32])
    first, last = float(np.mean(history[:5])), float(np.mean(history[-5:]))
    print(f"loss {first:.3f} -> {last:.3f} in {len(history)} steps")
    return first, last


if __name__ == "__main__":
    main()
