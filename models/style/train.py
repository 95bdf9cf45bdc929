"""Train a look: `python -m models.style.train --data FILE --out DIR [--name NAME] [--minutes 12]`; `--smoke`.

What happens is told on the output, an object of JSON a line, for whoever started it:
    {"progress": 0.4, "step": 1200, "eta_s": 93.0, "loss": 0.41, "held_out": 0.36}
    {"checkpoint": PATH, "grid": PATH}
    {"done": CARD, "weights": PATH, "sheet": PATH}
A checkpoint that lies in DIR is gone on from.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.style.training import Training

TELL_S = 1.0
SAVE_S = 20.0
FIRST_SAVE_S = 5.0
NICE = 10
PR_SET_PDEATHSIG = 1
SHEET = (
    "cat face, dog face, unicorn, automobile, rocket, house, sunflower, pizza, hamburger, birthday cake, guitar, "
    "soccer ball, umbrella, red heart, robot, octopus, sailboat, cactus"
)


@dataclass
class Teller:
    """Tells how a training goes, and saves it from time to time."""

    training: Training
    out: Path
    grid: Any
    told_at: float = 0.0
    saved_at: float = 0.0

    def __post_init__(self) -> None:
        self.started_at, self.first_step = time.monotonic(), self.training.step
        self.saved_at = self.started_at - SAVE_S + FIRST_SAVE_S

    def __call__(self, loss: float) -> None:
        """Hear of one step."""
        now = time.monotonic()
        if now - self.told_at > TELL_S:
            self.told_at = now
            tell(**self._progress(loss, now))
        if now - self.saved_at > SAVE_S:
            self.saved_at = now
            tell(checkpoint=str(self.training.save()), grid=str(self.grid(self.out / "grid.png")))

    def _progress(self, loss: float, now: float) -> dict[str, Any]:
        training = self.training
        done = training.step - self.first_step
        left_s = (now - self.started_at) / done * training.steps_left
        left_s = max(0.0, min(left_s, training.plan.minutes * 60 - training.spent_s))
        return {
            "progress": round(training.spent_s / max(training.spent_s + left_s, 1e-6), 4),
            "step": training.step,
            "eta_s": round(left_s, 1),
            "loss": round(loss, 4),
            "held_out": round(sum(training.best), 4),
        }


def tell(**said: Any) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def die_with(parent: int) -> None:
    """Have the system end this process when the one that started it ends.

    Raises:
        SystemExit: it has ended already.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def train(args: argparse.Namespace) -> None:
    """Train on the pictures of a file, and write the look, its card and a sheet."""
    import torch

    from models.cgan.sample import CGan
    from models.style.pictures import load
    from models.style.training import Plan, Training
    from models.vae.sample import Vae

    torch.set_num_threads(args.threads)
    pictures = load(args.data, args.seed)
    plan = Plan(args.steps, args.minutes, seed=args.seed, device=args.device)
    vae = Vae.load()
    training = Training(plan, args.out, vae, pictures)
    grid = _grid(vae, training, pictures)
    training.run(Teller(training, args.out, grid))
    tell(checkpoint=str(training.save()), grid=str(grid(args.out / "grid.png")))
    tell(**_finish(args, training, vae, CGan.load(), pictures))


def _grid(vae: Any, training: Training, pictures: Any) -> Any:
    """Give what draws some known things as they were, above how they look now."""
    import numpy as np
    from PIL import Image

    from models.style import material

    known = material.known(vae, vae.memory, training.config.base, training.config.inset, 16, seed=5)

    def draw(path: Path) -> Path:
        before = (known.pixels.permute(0, 2, 3, 1).numpy() * 127.5 + 127.5).round().clip(0, 255).astype(np.uint8)
        after = training.drawn(known.latents)
        rows = [np.concatenate(list(part[i : i + 8]), 1) for i in (0, 8) for part in (before, after)]
        Image.fromarray(np.concatenate(rows)).save(path)
        return path

    return draw


def _finish(args: argparse.Namespace, training: Training, vae: Any, cgan: Any, pictures: Any) -> dict[str, Any]:
    from models.style import weights
    from models.style.measure import measure
    from models.style.sample import Style
    from models.style.training import arrays

    content = weights.write(arrays(training, pictures), training.config, args.name, args.licence)
    path = args.out / "style.safetensors"
    path.write_bytes(content)
    style = Style.from_bytes(content)
    card = {
        "pictures": len(pictures.rgb),
        "held_out": int(pictures.held_out.sum()),
        "licence": args.licence,
        "steps": training.step,
        "seconds": round(training.spent_s),
        "ended": training.ended,
        "seed": training.plan.seed,
        "size_bytes": len(content),
        "base": training.config.base,
        "inset": training.config.inset,
        "held_out_error": {
            "own": {"before": round(training.first[0], 3), "after": round(training.best[0], 3)},
            "laid_bare": {"before": round(training.first[1], 3), "after": round(training.best[1], 3)},
        },
        **measure(style, vae, cgan, pictures),
    }
    return {"done": card, "weights": str(path), "sheet": str(_sheet(style, vae, cgan, pictures, args.out))}


def _sheet(style: Any, vae: Any, cgan: Any, pictures: Any, out: Path) -> Path:
    """Draw known things and, in the last row, things that the company drew itself."""
    import numpy as np
    from PIL import Image

    memory = cgan.memory
    texts = [memory.vectors[memory.config.names.index(name)] for name in SHEET.split(", ")]
    texts += list(pictures.vectors[np.flatnonzero(pictures.held_out)][:6])
    texts = (texts + list(pictures.vectors))[:24]
    tiles = style.decoder(vae).decode(style.sample(cgan, vae, np.stack(texts), list(range(24))), 128)
    Image.fromarray(np.concatenate([np.concatenate(list(tiles[i : i + 6]), 1) for i in range(0, 24, 6)])).save(
        out / "sheet.png"
    )
    return out / "sheet.png"


def smoke(out: Path, steps: int = 60) -> tuple[float, float]:
    """Learn the look of made-up pictures for a few seconds; return the loss at the start and at the end."""
    import torch

    from models.style.training import Plan, Training
    from models.vae.sample import Vae

    torch.set_num_threads(1)
    history = Training(Plan(steps, batch=4), out, Vae.load(), made_up()).run()
    first, last = sum(history[:5]) / 5, sum(history[-5:]) / 5
    print(f"loss {first:.3f} -> {last:.3f} in {len(history)} steps")
    return first, last


def made_up(count: int = 16) -> Any:
    """Give discs and boxes with a thick dark line on a tinted ground, as a company's pictures."""
    import numpy as np

    from models.style.pictures import pictures

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    rgb = np.full((count, 64, 64, 3), (205, 225, 240), np.uint8)
    for number, picture in enumerate(rgb):
        across, down, radius = rng.integers(26, 38), rng.integers(26, 38), rng.integers(12, 20)
        apart = np.hypot(y - down, x - across) if number % 2 else np.maximum(abs(y - down), abs(x - across))
        picture[apart < radius + 3] = (30, 30, 60)
        picture[apart < radius] = ((230, 90, 30), (60, 140, 90))[number % 2]
    vectors = rng.standard_normal((count, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pictures(rgb, vectors, [f"thing {number}" for number in range(count)])


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train a look")
    parser.add_argument("--data", type=Path, help="what `models.style.pictures.save` wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="own")
    parser.add_argument("--licence", default="proprietary")
    parser.add_argument("--minutes", type=float, default=12, help="at most")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parent", type=int, help="the process id of whoever started it; it ends with it")
    parser.add_argument("--smoke", action="store_true", help="a few seconds on made-up pictures")
    args = parser.parse_args()
    if args.parent is not None:
        die_with(args.parent)
        os.nice(NICE)
    if args.smoke:
        smoke(args.out)
        return
    if args.data is None:
        parser.error("--data is needed; `atelier styles train` makes it from your pictures")
    train(args)


if __name__ == "__main__":
    main()
