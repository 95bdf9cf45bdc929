"""Learn a look from a company's pictures. Letters: B batch, C, H, W of a latent.

Each step draws pictures of the company, lays them bare, and learns the way back: the adapter carries the latents of
bare pictures to those of the look, the decoder draws both. When the held-out pictures get no better, or most steps are
done, a critic sharpens what was learned. A step's chance depends on the seed and its number alone, so a training that
went on from a checkpoint ends with the same weights as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.style import bare, checkpoint, material, sharpen
from models.style.losses import own_distance
from models.style.net import StyleConfig, StyleNet
from models.style.pictures import Pictures
from models.vae.sample import Vae
from models.vae.train import to_tensor

LATENT_WEIGHT = 0.3
EMA_DECAY = 0.998
WARM_UP_STEPS = 30
PATIENCE = 6  # looks at the held-out pictures without a better one end the learning
LEARNING = 0.75  # of the steps, or of the time, at most; the rest sharpens
BETTER = 0.995  # of the error before
LOOK_STEPS = 100
KNOWN = 256  # known pictures whose colours are lent
HELD_OUT_LOOKS = 4  # how often each held-out picture is laid bare


@dataclass(frozen=True)
class Plan:
    """How long to train, how fast, and from which seed."""

    steps: int = 3000
    minutes: float = 12.0
    batch: int = 8
    rate: float = 2e-3
    decoder_rate: float = 7e-4
    seed: int = 0
    device: str = "cpu"


class Training:
    """A run that can stop at any time and go on later.

    Args:
        out: where its checkpoint lies; one that is there already is gone on from.
    """

    def __init__(self, plan: Plan, out: Path, vae: Vae, pictures: Pictures) -> None:
        self.plan, self.path = plan, out / "checkpoint.safetensors"
        out.mkdir(parents=True, exist_ok=True)
        inside = material.inside_of(pictures.rgb)
        memory = vae.memory
        if memory is None:
            raise ValueError("a look starts from known pictures: load the VAE with Vae.load")
        self.config = config_for(vae, material.inset_of(inside))
        self.encoder = deepcopy(vae.net.encoder).to(plan.device)
        paints = bare.paints_of(material.known(vae, memory, self.config.base, 1.0, KNOWN, plan.seed).pixels)
        pixels = to_tensor(pictures.rgb).contiguous()
        held = torch.from_numpy(pictures.held_out)
        where = torch.from_numpy(inside)
        self.seen = bare.lay_bare(pixels[~held], where, paints, plan.seed)
        self.unseen = bare.lay_bare(pixels[held], where, paints, plan.seed)
        torch.manual_seed(plan.seed)
        self.net = StyleNet(self.config)
        self.net.decoder.load_state_dict(vae.net.decoder.state_dict())
        self.net.to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_net, self.best_net = deepcopy(self.net), deepcopy(self.net)
        self.rates, self.optimiser = self._optimiser((plan.rate, plan.decoder_rate), (0.9, 0.99))
        self._sharpener_for: Callable[[], sharpen.Sharpener] = lambda: sharpen.Sharpener(
            vae, self.config.inset, plan.seed, plan.device
        )
        self.sharpener: sharpen.Sharpener | None = None
        self.step, self.spent_s, self.looks_since_best = 0, 0.0, 0
        self.sharpened_from, self.learned = 0, ""
        self.first = self.best = self.error()
        if self.path.exists():
            self._restore()

    @property
    def steps_left(self) -> int:
        """How many steps there are to do if the time allows."""
        last = self.plan.steps if self.sharpener is None else self.sharpened_from + self._sharpening_steps
        return max(0, last - self.step)

    @property
    def ended(self) -> str | None:
        """Say why there is nothing more to do, None while there is."""
        if self.spent_s >= self.plan.minutes * 60:
            return "the time is up"
        return self.learned if self.sharpener is not None and not self.steps_left else None

    def run(self, told: Callable[[float], None] = lambda _: None) -> list[float]:
        """Train until it has ended; `told` gets the loss after each step. Returns the losses of this run."""
        history: list[float] = []
        started, before_s = time.monotonic(), self.spent_s
        while self.ended is None:
            history.append(self.advance())
            self.spent_s = before_s + time.monotonic() - started
            self.look()
            told(history[-1])
        return history

    def look(self) -> None:
        """See after a step what comes next: a look at the held-out pictures, the sharpening, the end."""
        if self.sharpener is not None:
            if self.ended is not None:
                self._conclude()
            return
        why = self._learned()
        if self.step % LOOK_STEPS == 0 or why is not None or self.ended is not None:
            self._compare()
        if why is not None and self.ended is None:
            self._begin_sharpening(why)

    def _learned(self) -> str | None:
        if self.looks_since_best >= PATIENCE:
            return f"no better for {PATIENCE * LOOK_STEPS} steps"
        if self.step >= self.plan.steps - self._sharpening_steps:
            return "all steps done"
        return "most of the time is over" if self.spent_s >= LEARNING * self.plan.minutes * 60 else None

    @property
    def _sharpening_steps(self) -> int:
        return round((1 - LEARNING) * self.plan.steps)

    def _begin_sharpening(self, why: str) -> None:
        self.learned, self.sharpened_from = why, self.step
        self.sharpener = self._sharpener_for()
        for net in (self.net, self.mean_net):
            net.load_state_dict(self.best_net.state_dict())
        self.rates, self.optimiser = self._optimiser((sharpen.RATE, sharpen.DECODER_RATE), sharpen.BETAS)

    def _conclude(self) -> None:
        """Keep the sharpened nets if they still draw the held-out pictures about as well."""
        error = self.error()
        if sum(error) < sharpen.ACCEPTED * sum(self.best):
            self.best = error
            self.best_net.load_state_dict(self.mean_net.state_dict())

    def _optimiser(
        self, rates: tuple[float, float], betas: tuple[float, float]
    ) -> tuple[tuple[float, float], torch.optim.AdamW]:
        groups = [{"params": net.parameters(), "lr": r} for net, r in zip(self._parts(), rates, strict=True)]
        return rates, torch.optim.AdamW(groups, betas=betas, weight_decay=0.01)

    def _parts(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        return self.net.adapter, self.net.decoder

    def advance(self) -> float:
        """Do one step and return its loss."""
        plan, device = self.plan, self.plan.device
        generator = torch.Generator().manual_seed((plan.seed << 24) + self.step)
        rows = torch.randint(len(self.seen.pixels), (plan.batch,), generator=generator)
        real, plain = (part.to(device).contiguous() for part in bare.pairs(self.seen, rows, generator))
        with torch.no_grad():
            wanted, start = self.encoder(torch.cat([real, plain]))[0].chunk(2)
        self._set_rates()
        known = None if self.sharpener is None else self.sharpener.known(plan.batch, generator)
        with self._autocast():
            carried = self.net.adapter(start if known is None else torch.cat([start, known])).float()
            drawn = self.net.decoder(torch.cat([wanted, carried])).float()
        own, back, new = drawn.split([plan.batch, plan.batch, len(drawn) - 2 * plan.batch])
        loss = own_distance(own, real) + own_distance(back, real)
        loss = loss + LATENT_WEIGHT * (carried[: plan.batch] - wanted).abs().mean()
        if self.sharpener is not None:
            loss = loss + self.sharpener.loss(real, new, self._done(), self._autocast())
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY if self.sharpener is None else sharpen.EMA_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean_net.parameters()), list(self.net.parameters()), 1 - decay)
        return float(loss.item())

    def error(self) -> tuple[float, float]:
        """Return the errors of the held-out pictures: drawn from their latents, and from bare ones."""
        generator = torch.Generator().manual_seed(self.plan.seed)
        rows = torch.arange(len(self.unseen.pixels)).repeat(HELD_OUT_LOOKS)
        real, plain = (part.to(self.plan.device) for part in bare.pairs(self.unseen, rows, generator))
        with torch.no_grad():
            wanted, start = self.encoder(torch.cat([real, plain]))[0].chunk(2)
            own = self.mean_net.decoder(wanted)
            back = self.mean_net.decoder(self.mean_net.adapter(start))
        return float(own_distance(own, real)), float(own_distance(back, real))

    def save(self) -> Path:
        """Write the checkpoint and return its path."""
        parts = {name: getattr(self, name).state_dict() for name in ("net", "mean_net", "best_net")}
        parts["moments"] = checkpoint.moments(self.net, self.optimiser)
        if self.sharpener is not None:
            parts |= self.sharpener.state()
        facts = ("step", "spent_s", "looks_since_best", "first", "best", "sharpened_from", "learned")
        checkpoint.write(self.path, parts, {name: getattr(self, name) for name in facts})
        return self.path

    def drawn(self, latents: Tensor) -> np.ndarray:
        """Draw latents (B, C, H, W) of known things in the look as it is now: (B, 64, 64, 3) uint8."""
        with torch.no_grad():
            y = self.mean_net.decoder(self.mean_net.adapter(latents.to(self.plan.device))).clamp(-1, 1)
        return np.asarray(y.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())

    def _compare(self) -> None:
        error = self.error()
        if sum(error) < BETTER * sum(self.best):
            self.best, self.looks_since_best = error, 0
            self.best_net.load_state_dict(self.mean_net.state_dict())
        else:
            self.looks_since_best += 1

    def _done(self) -> float:
        """Give the part of the learning, or of the sharpening, that is behind."""
        if self.sharpener is not None:
            return (self.step - self.sharpened_from) / max(1, self._sharpening_steps)
        return self.step / max(1, self.plan.steps - self._sharpening_steps)

    def _set_rates(self) -> None:
        share = 0.51 + 0.49 * math.cos(math.pi * min(1.0, self._done()))
        share *= min(1.0, (self.step + 1) / WARM_UP_STEPS)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * share

    def _autocast(self) -> torch.autocast:
        amp = self.plan.device == "cuda" or torch.cpu._is_avx512_bf16_supported()
        return torch.autocast(self.plan.device, torch.bfloat16, enabled=amp)

    def _restore(self) -> None:
        parts, facts = checkpoint.read(self.path)
        if facts["learned"]:
            self._begin_sharpening(facts["learned"])
            assert self.sharpener is not None  # noqa: S101  # it has just begun
            self.sharpener.restore(parts)
        for name in ("net", "mean_net", "best_net"):
            getattr(self, name).load_state_dict(parts[name])
        checkpoint.restore_moments(self.net, self.optimiser, parts.get("moments", {}))
        self.first, self.best = tuple(facts.pop("first")), tuple(facts.pop("best"))
        vars(self).update(facts)


def config_for(vae: Vae, inset: float) -> StyleConfig:
    """Give the config of a look whose decoder is that of a VAE, tuned."""
    shape = vae.config
    return StyleConfig(
        latent_channels=shape.latent_channels,
        latent_px=shape.latent_px,
        decoder_8=shape.decoder_8,
        decoder_16=shape.decoder_16,
        decoder_32=shape.decoder_32,
        decoder_blocks=shape.decoder_blocks,
        inset=inset,
    )


def arrays(training: Training, pictures: Pictures) -> dict[str, Any]:
    """Return the arrays of the look's file: the best nets, and the company's pictures as a memory."""
    with torch.no_grad():
        pixels = to_tensor(pictures.rgb, training.plan.device).contiguous()
        latents = torch.cat([training.encoder(one[None])[0] for one in pixels]).cpu()
    scale = latents.abs().amax((0, 2, 3)) / 127
    kept = {key: value.detach().cpu().numpy() for key, value in training.best_net.state_dict().items()}
    return {
        **kept,
        "captions": pictures.vectors,
        "own": (latents / scale[:, None, None]).round().to(torch.int8).numpy(),
        "own_scale": scale.numpy(),
    }
