"""Tell whether what is drawn is in the company's look, and still shows the thing.

`python -m models.style.measure --weights FILE --data FILE` prints what a training writes into the card of its look.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.cgan.sample import CGan
from models.emoji.memory import Memory
from models.emoji.sources import STYLES
from models.style import material
from models.style.losses import look_distance
from models.style.pictures import Pictures, load
from models.style.sample import Style
from models.vae.sample import Vae
from models.vae.train import to_tensor

THINGS = 48  # drawn for the measure, none of them drawn by the company
CANDIDATES = 240  # known things among which the drawn one is looked for
TEACHING = 120  # pictures of each shipped style that the probe learns from
PROBE_STEPS = 300


@dataclass(frozen=True)
class Drawn:
    """The same unseen things in shipped styles and in the look, (N, 64, 64, 3) uint8 each; `rows`: what they are."""

    before: np.ndarray
    after: np.ndarray
    rows: np.ndarray


def measure(style: Style, vae: Vae, cgan: CGan, pictures: Pictures) -> dict[str, object]:
    """Measure a look on things that the company did not draw.

    Returns:
        in_look: parts of what is drawn that a probe takes for the company's, in the shipped style, in the look, and
        of held-out pictures of the company. look_distance: of patches, before and after, and between the company's own
        pictures. things: how often the drawn thing is found among the known ones.
    """
    memory = cgan.memory
    drawn = _draw(style, vae, cgan, pictures)
    probe = _probe(vae, memory, pictures, drawn.rows)
    kept, held = pictures.rgb[~pictures.held_out], pictures.rgb[pictures.held_out]
    return {
        "in_look": {"before": probe(drawn.before), "after": probe(drawn.after), "held_out": probe(held)},
        "look_distance": {
            "before": _distance(drawn.before, kept),
            "after": _distance(drawn.after, kept),
            "held_out": _distance(held, kept),
        },
        "things": _found(style, vae, memory, drawn),
    }


def _draw(style: Style, vae: Vae, cgan: CGan, pictures: Pictures) -> Drawn:
    memory = cgan.memory
    near = (memory.vectors @ pictures.vectors.T).max(1) >= style.config.own_cosine
    base = np.flatnonzero(memory.style == STYLES.index(style.config.base))
    rows = np.random.default_rng(1).permutation([row for row in base if not near[memory.thing[row]]])[:THINGS]
    texts, seeds = memory.vectors[memory.thing[rows]], list(range(len(rows)))
    before = vae.decode(cgan.sample(texts, [None] * len(rows), seeds))
    after = style.decoder(vae).decode(style.sample(cgan, vae, texts, seeds))
    return Drawn(before, after, rows)


class _Probe:
    """Tells five looks apart by statistics of features and by coarse colours."""

    def __init__(self, vae: Vae, groups: list[np.ndarray]) -> None:
        self._layers = vae.net.encoder.net[:4]
        features = [self._features(group) for group in groups]
        whole = torch.cat(features)
        self._mean, self._scale = whole.mean(0), whole.std(0) + 1e-6
        label = torch.cat([torch.full((len(f),), n) for n, f in enumerate(features)])
        weight = torch.tensor([1 / len(f) for f in features])
        torch.manual_seed(0)
        self._line = torch.nn.Linear(whole.shape[1], len(groups))
        optimiser = torch.optim.AdamW(self._line.parameters(), 0.02, weight_decay=0.1)
        for _ in range(PROBE_STEPS):
            scores = self._line((whole - self._mean) / self._scale)
            loss = functional.cross_entropy(scores, label, weight)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    def __call__(self, rgb: np.ndarray) -> float:
        """Return the part of pictures that are taken for the last look."""
        with torch.no_grad():
            scores = self._line((self._features(rgb) - self._mean) / self._scale)
        return round(float((scores.argmax(1) == scores.shape[1] - 1).float().mean()), 3)

    def _features(self, rgb: np.ndarray) -> Tensor:
        x = to_tensor(rgb).contiguous()
        with torch.no_grad():
            seen = self._layers(x)
            colours = functional.avg_pool2d(x, 16).flatten(1)
        return torch.cat([seen.mean((2, 3)), seen.std((2, 3)), colours], 1)


def _probe(vae: Vae, memory: Memory, pictures: Pictures, without: np.ndarray) -> _Probe:
    unseen = set(memory.thing[without].tolist())
    groups = []
    for number in range(len(STYLES)):
        rows = [row for row in np.flatnonzero(memory.style == number) if int(memory.thing[row]) not in unseen]
        chosen = np.random.default_rng(2).permutation(rows)[:TEACHING]
        groups.append(vae.decode(np.stack([memory.latent(int(row)) for row in chosen])))
    return _Probe(vae, [*groups, pictures.rgb[~pictures.held_out]])


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    generator = torch.Generator().manual_seed(0)
    found = look_distance(to_tensor(one).contiguous(), to_tensor(other).contiguous(), generator)
    return round(float(found), 3)


def _found(style: Style, vae: Vae, memory: Memory, drawn: Drawn) -> dict[str, object]:
    """Tell how often the known picture with the most alike outlines shows the thing that was drawn."""
    wanted = memory.thing[drawn.rows]
    others = np.random.default_rng(3).permutation([t for t in np.unique(memory.thing) if t not in set(wanted)])
    things = [*wanted, *others[: max(0, CANDIDATES - len(wanted))]]
    rows = np.flatnonzero(np.isin(memory.thing, things))
    known = vae.decode(np.stack([memory.latent(int(row)) for row in rows]))
    alike = _outlines(drawn.after) @ _outlines(material.smaller(known, style.config.inset)).T
    ranks = []
    for scores, thing in zip(alike, wanted, strict=True):
        best = np.array([scores[memory.thing[rows] == other].max() for other in things])
        ranks.append(int((best > scores[memory.thing[rows] == thing].max()).sum()))
    share = {f"R@{k}": round(float(np.mean(np.array(ranks) < k)), 3) for k in (1, 5)}
    return {"of": len(things), **share}


def _outlines(rgb: np.ndarray) -> np.ndarray:
    """Give unit vectors of where pictures change, coarse, without what all of them share (a frame)."""
    x = to_tensor(rgb).contiguous()
    change = functional.pad(x.diff(dim=2).abs().amax(1), (0, 0, 0, 1)) + functional.pad(
        x.diff(dim=3).abs().amax(1), (0, 1)
    )
    coarse = functional.avg_pool2d(change.clamp(max=0.5)[:, None], 4)[:, 0].flatten(1)
    coarse = coarse - coarse.mean(0)
    return np.asarray(functional.normalize(coarse, dim=1).numpy())


def main() -> None:
    """Read the command line and print the measures of a look."""
    parser = argparse.ArgumentParser(description="Measure a look")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="what `models.style.pictures.save` wrote")
    args = parser.parse_args()
    torch.set_num_threads(1)
    style = Style.from_bytes(args.weights.read_bytes())
    print(json.dumps(measure(style, Vae.load(), CGan.load(), load(args.data)), indent=1))


if __name__ == "__main__":
    main()
