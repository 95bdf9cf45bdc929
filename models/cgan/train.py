"""Train the GAN: `python -m models.cgan.train --data DIR --vae CHECKPOINT --out DIR --minutes 20`; `--smoke`.

Writes `checkpoint.pt` (read again by the next run) and `losses.jsonl`. The latents of the data set are kept in
`pairs.pt`, made anew when the VAE's checkpoint is newer.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.cgan.latents import Pairs, load_pairs, style_one_hot
from models.cgan.net import CGanConfig, Critic, Generator
from models.vae.config import VaeConfig
from models.vae.net import VaeNet

OTHER_STYLE = 0.25  # how often the start is the same thing in another style
OTHER_THING = 0.05  # how often it is anything at all
PLAIN = 0.45  # how often the caption names no edit
STILL = 0.6  # how often such a picture is to stay as it is
NO_CHANGE = (1.4, 0.0, 0.0, 0.0)  # the small change that leaves a picture at its size, see `captions.small_change`
EMA_DECAY = 0.998


@dataclass(frozen=True)
class Plan:
    """How long to train, how fast, and how much the critic counts."""

    minutes: float
    batch: int = 32
    rate: float = 1e-3
    critic_rate: float = 4e-4
    critic_weight: float = 0.02
    critic_from: float = 0.15  # of the run
    device: str = "cpu"
    steps: int = 10**9
    report_steps: int = 500


@dataclass(frozen=True)
class Batch:
    """B samples: what the generator starts from, what it is told, and what should come out."""

    start: Tensor
    text: Tensor
    style: Tensor
    noise: Tensor
    target: Tensor


def siblings(thing: Tensor) -> Tensor:
    """Return for each picture (N,) the rows of its thing in four styles, (N, 4), repeated if there are fewer."""
    order: dict[int, list[int]] = {}
    for row, key in enumerate(thing.tolist()):
        order.setdefault(key, []).append(row)
    return torch.tensor([[rows[i % len(rows)] for i in range(4)] for rows in (order[key] for key in thing.tolist())])


class Training:
    """A run that can stop at any time and go on later."""

    def __init__(self, plan: Plan, out: Path, config: CGanConfig, pairs: Pairs) -> None:
        self.plan, self.out, self.config, self.pairs = plan, out, config, pairs
        torch.manual_seed(0)
        self.net, self.mean_net, self.critic = Generator(config), Generator(config), Critic(config)
        self.mean_net.load_state_dict(self.net.state_dict())
        for net in (self.net, self.mean_net, self.critic):
            net.to(plan.device)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), plan.rate, betas=(0.8, 0.99), weight_decay=1e-4)
        self.critic_optimiser = torch.optim.AdamW(self.critic.parameters(), plan.critic_rate, betas=(0.5, 0.99))
        self.generator = torch.Generator().manual_seed(0)
        self.plain_rows = torch.nonzero(pairs.seen & pairs.plain).flatten()
        self.edited_rows = torch.nonzero(pairs.seen & pairs.coloured).flatten()
        self.siblings = siblings(pairs.thing)
        self.weight = (1 / (pairs.spread + 0.1))[:, None, None].to(plan.device)
        self.step, self.spent_s = 0, 0.0
        out.mkdir(parents=True, exist_ok=True)
        if (out / "checkpoint.pt").exists():
            self._restore(torch.load(out / "checkpoint.pt", weights_only=True))

    def _restore(self, saved: dict[str, Any]) -> None:
        for name in ("net", "mean_net", "critic", "optimiser", "critic_optimiser"):
            getattr(self, name).load_state_dict(saved[name])
        self.step, self.spent_s = saved["step"], saved["spent_s"]
        self.generator.manual_seed(self.step)

    def save(self) -> None:
        """Write the checkpoint so that a crash leaves the old one whole."""
        names = ("net", "mean_net", "critic", "optimiser", "critic_optimiser")
        saved = {name: getattr(self, name).state_dict() for name in names}
        torch.save({**saved, "step": self.step, "spent_s": self.spent_s}, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")

    def run(self) -> list[float]:
        """Train until the plan's minutes are spent; return the latent error of each step of this run."""
        history: list[float] = []
        started, before_s, limit_s = time.monotonic(), self.spent_s, self.plan.minutes * 60
        while self.spent_s < limit_s and self.step < self.plan.steps:
            done = self.spent_s / limit_s
            for group in self.optimiser.param_groups:
                group["lr"] = self.plan.rate * (0.51 + 0.49 * math.cos(math.pi * min(done, 1.0)))
            parts = self._advance(self.batch(), done >= self.plan.critic_from)
            history.append(parts["error"])
            self.spent_s = before_s + time.monotonic() - started
            if self.step % self.plan.report_steps == 0:
                self._report(parts)
        self.save()
        return history

    def batch(self) -> Batch:
        """Draw a batch of pairs."""
        pairs, count, generator = self.pairs, self.plan.batch, self.generator
        plain = torch.randint(len(self.plain_rows), (count,), generator=generator)
        edited = torch.randint(len(self.edited_rows), (count,), generator=generator)
        is_plain = torch.rand(count, generator=generator) < PLAIN
        rows = torch.where(is_plain, self.plain_rows[plain], self.edited_rows[edited])
        still = is_plain & (torch.rand(count, generator=generator) < STILL)
        source = pairs.source[rows]
        target = torch.where(still[:, None, None, None], pairs.start[source], pairs.target[rows])
        style = style_one_hot(pairs.style[source])
        chance = torch.rand(count, generator=generator)
        sibling = self.siblings[source, torch.randint(4, (count,), generator=generator)]
        other = torch.randint(len(pairs.start), (count,), generator=generator)
        source = torch.where(chance < OTHER_STYLE, sibling, source)
        source = torch.where(chance > 1 - OTHER_THING, other, source)
        start = pairs.start[source]
        spread = pairs.spread[:, None, None]
        start = start + spread * torch.randn(start.shape, generator=generator)
        noise = torch.randn(count, self.config.noise, generator=generator)
        noise[:, :4] = torch.where(still[:, None], torch.tensor(NO_CHANGE), pairs.change[rows])
        parts = (start, pairs.vectors[pairs.text[rows]], style, noise, target)
        return Batch(*(part.to(self.plan.device) for part in parts))

    def _advance(self, batch: Batch, critical: bool) -> dict[str, float]:
        with self._autocast():
            made = self.net(batch.start, batch.text, batch.style, batch.noise).float()
        error = ((made - batch.target).abs() * self.weight).mean()
        parts = {"error": error.item()}
        loss = error
        if critical:
            parts["critic"] = self._advance_critic(batch, made.detach())
            with self._autocast():
                loss = error - self.plan.critic_weight * self.critic(made, batch.text, batch.style).mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean_net.parameters()), list(self.net.parameters()), 1 - decay)
        return parts

    def _autocast(self) -> torch.autocast:
        amp = self.plan.device == "cuda" or torch.cpu._is_avx512_bf16_supported()
        return torch.autocast(self.plan.device, torch.bfloat16, enabled=amp)

    def _advance_critic(self, batch: Batch, made: Tensor) -> float:
        with self._autocast():
            real = self.critic(batch.target, batch.text, batch.style)
            fake = self.critic(made, batch.text, batch.style)
            wrong = self.critic(batch.target, batch.text.roll(1, 0), batch.style.roll(1, 0))
        loss = functional.relu(1 - real).mean() + 0.5 * (
            functional.relu(1 + fake).mean() + functional.relu(1 + wrong).mean()
        )
        self.critic_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic_optimiser.step()
        return loss.item()

    def _report(self, parts: dict[str, float]) -> None:
        with (self.out / "losses.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step, "spent_s": round(self.spent_s), **parts}) + "\n")
        self.save()


def made_up(count: int = 256) -> Pairs:
    """Return random latents whose target is the start with a sign that the text gives, for the smoke test."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(count, 12, 8, 8, generator=generator)
    vectors = functional.normalize(torch.randn(2, 384, generator=generator), dim=1)
    text = torch.arange(count) % 2
    target = start.clone()
    target[:, :4, :4, 4:] = torch.where(text == 1, 2.0, -2.0)[:, None, None, None]
    rows = torch.arange(count)
    change, spread = torch.zeros(count, 4), torch.full((12,), 0.1)
    seen, plain = rows >= 0, rows % 5 == 0
    return Pairs(
        start, rows, rows % 4, target, rows, text, change, vectors, spread, seen, plain, ~plain, start, start[:1]
    )


def load_vae(checkpoint: Path) -> VaeNet:
    """Return the averaged VAE of a training checkpoint."""
    net = VaeNet(VaeConfig())
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["mean_net"])
    return net.eval()


def cached_pairs(folder: Path, vae: Path, out: Path) -> Pairs:
    """Return the pairs of a data set, encoded once for each VAE checkpoint."""
    path = out / "pairs.pt"
    if not path.exists() or path.stat().st_mtime < vae.stat().st_mtime:
        out.mkdir(parents=True, exist_ok=True)
        torch.save(vars(load_pairs(folder, load_vae(vae))), path)
    return Pairs(**torch.load(path, weights_only=True))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the conditional GAN")
    parser.add_argument("--data", type=Path, help="what models.emoji.captions completed")
    parser.add_argument("--vae", type=Path, help="checkpoint of models.vae.train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a few seconds on made-up latents")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.smoke:
        smoke(args.out)
        return
    if args.data is None or args.vae is None:
        parser.error("--data and --vae are needed")
    pairs = cached_pairs(args.data, args.vae, args.out)
    Training(Plan(args.minutes, device=args.device), args.out, CGanConfig(), pairs).run()


def smoke(out: Path, steps: int = 200) -> tuple[float, float]:
    """Train a small net on made-up latents; return the error at the start and at the end."""
    config = CGanConfig(condition=32, channels=32, blocks=1)
    history = Training(Plan(1, batch=16, steps=steps), out, config, made_up()).run()
    first, last = sum(history[:20]) / 20, sum(history[-20:]) / 20
    print(f"error {first:.3f} -> {last:.3f} in {len(history)} steps")
    return first, last


if __name__ == "__main__":
    main()
