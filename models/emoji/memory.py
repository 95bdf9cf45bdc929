"""The known pictures as latents, and which of them a text means.

Letters: N pictures, K things, D numbers of a text vector (384), C, H, W of a latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.emoji.edits import MOODS, sign_cell
from models.emoji.sources import STYLES
from models.weights import files

KIN_NATS = 1.5  # things whose score lies this close below the best may be drawn instead of it
SAME_COSINE = 0.93  # a text this near to a caption of a thing says the thing as it is
OTHER_COSINE = 0.82  # a text this far from all captions of a face or a person asks for a mood that it does not show
SIGN_CELLS = 3  # a sign covers 3 × 3 cells of a latent


@dataclass(frozen=True)
class MemoryConfig:
    """The names that the arrays cannot hold; a file keeps them in its metadata."""

    names: list[str]
    keys: list[str]


@dataclass(frozen=True)
class Memory:
    """What the family knows.

    Attributes:
        config: names and code points of the things.
        latents: (N, C, H, W) int8, means of the posteriors in units of `scale`.
        scale: (C,) float32.
        spread: (C,) float32, the usual standard deviation of a posterior.
        thing: (N,) int64 in [0, K).
        style: (N,) int64, index into `STYLES`.
        vectors: (K, D) float32, unit text vectors of the names, or of like things where a name sounds like a mood.
        hidden, hidden_bias, out, out_bias: the net that scores things by a text.
        small: (N, C, H, W) int8, the latents of the pictures made smaller, to leave room for a sign.
        signs: (M, styles, C, 3, 3) float32, latents of each mood's sign, see `edits.MOODS`.
        takes_sign: (K,) uint8, 0 for things that show moods themselves.
        mood, mood_bias: (D, M + 1) and (M + 1,), score the moods of a text, none first.
        colour, colour_bias: the same for `edits.COLOURS`.
        colour_shift: (colours, D) float32, what a colour word adds to the vector of a name.
        captions: (T, D) int8 and `caption_thing` (T,): vectors of other things' captions, in units of 1/256.
    """

    config: MemoryConfig
    latents: np.ndarray
    scale: np.ndarray
    spread: np.ndarray
    thing: np.ndarray
    style: np.ndarray
    vectors: np.ndarray
    captions: np.ndarray
    caption_thing: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    small: np.ndarray
    signs: np.ndarray
    takes_sign: np.ndarray
    mood: np.ndarray
    mood_bias: np.ndarray
    colour: np.ndarray
    colour_bias: np.ndarray
    colour_shift: np.ndarray

    @classmethod
    def load(cls, folder: Path | None = None) -> Memory:
        """Read the shipped memory, or that of another folder."""
        config, arrays = files.read("memory", MemoryConfig, folder)
        return cls(config, **arrays)

    @property
    def size_bytes(self) -> int:
        """Bytes of the arrays."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def latent(self, row: int) -> np.ndarray:
        """Return one picture's latent, (C, H, W) float32."""
        return np.asarray(self.latents[row] * self.scale[:, None, None], np.float32)

    def cosines(self, text: np.ndarray) -> np.ndarray:
        """Return the cosine of a text, (D,), with the best caption of each thing, (K,) float32."""
        near = (self.captions.astype(np.float32) @ text.astype(np.float32)) / 256
        found = np.full(len(self.vectors), -1, np.float32)
        np.maximum.at(found, self.caption_thing, near)
        return found

    def nearest(self, text: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Return the names and cosines of the k nearest things, best first."""
        cosines = self.cosines(text)
        rows = np.argsort(-cosines, kind="stable")[:k]
        return [(self.config.names[row], float(cosines[row])) for row in rows]

    def scores(self, text: np.ndarray) -> np.ndarray:
        """Return the log probability of each thing given a text, (K,) float64, nats."""
        hidden = np.maximum(text.astype(np.float32) @ self.hidden + self.hidden_bias, 0)
        logits = (hidden @ self.out + self.out_bias).astype(np.float64)
        logits = logits - np.logaddexp.reduce(logits)
        mixed = np.logaddexp(logits, -7.0) + 12.0 * self.cosines(text)
        return np.asarray(mixed - np.logaddexp.reduce(mixed))

    def draw(self, text: np.ndarray, style: str | None, rng: np.random.Generator, turn: int) -> int:
        """Draw a known picture for a text: a likely thing, in the style asked for where it has one.

        Args:
            text: (D,) float32.
            style: one of `STYLES`, or None for any.
            rng: draws the thing.
            turn: picks among styles in turn, so that neighbouring seeds, which a user sees side by side, differ.

        Returns:
            The row of the picture.

        Raises:
            ValueError: the style is unknown.
        """
        if style is not None and style not in STYLES:
            raise ValueError(f"unknown style {style!r}; there are {', '.join(STYLES)}")
        scores = self.scores(text)
        chances = np.where(scores > scores.max() - KIN_NATS, scores, -np.inf) - np.log(
            1e-300 + rng.exponential(size=len(scores))
        )
        thing = int(np.argmax(chances))
        rows = np.flatnonzero(self.thing == thing)
        wanted = rows[self.style[rows] == STYLES.index(style)] if style is not None else rows
        options = wanted if len(wanted) else rows
        return int(options[turn % len(options)])

    def start(self, row: int, text: np.ndarray, insist: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return what the generator starts from and what it is told, for a known picture and a text.

        A mood that the thing does not show itself becomes a sign, laid into the latent; the text that is handed on
        says the thing and its colour.

        Args:
            row: the picture.
            text: (D,) float32.
            insist: lay a sign on a thing, too, that could show moods itself.

        Returns:
            The latent (C, H, W) and a text vector (D,), both float32.
        """
        thing = int(self.thing[row])
        mood, colour = _pick(text @ self.mood + self.mood_bias), self.colour_of(text)
        own = float(self._own_cosines(text, thing))
        shows_itself = not (self.takes_sign[thing] or insist or own < OTHER_COSINE)
        if shows_itself or own > SAME_COSINE:
            mood = None
        told = self.vectors[thing]
        if colour is not None and own <= SAME_COSINE:
            told = text if mood is None else told + self.colour_shift[colour]
        told = np.asarray(told / np.linalg.norm(told), np.float32)
        return self.latent(row) if mood is None else self._signed(row, mood), told

    def colour_of(self, text: np.ndarray) -> int | None:
        """Return the colour that a text (D,) names, an index into `edits.COLOURS`, or None."""
        return _pick(text @ self.colour + self.colour_bias)

    def _signed(self, row: int, mood: int) -> np.ndarray:
        latent = np.asarray(self.small[row] * self.scale[:, None, None], np.float32)
        left = sign_cell(MOODS[mood])
        latent[:, :SIGN_CELLS, left : left + SIGN_CELLS] = self.signs[mood, self.style[row]]
        return latent

    def _own_cosines(self, text: np.ndarray, thing: int) -> float:
        rows = self.captions[self.caption_thing == thing].astype(np.float32)
        return float((rows @ text.astype(np.float32)).max() / 256)

    def nearest_row(self, latent: np.ndarray) -> int:
        """Return the row of the picture whose latent is nearest to a (C, H, W) one."""
        known = self.latents.astype(np.float32) * self.scale[:, None, None]
        return int(np.argmin(((known - latent) ** 2).sum((1, 2, 3))))


def _pick(scores: np.ndarray) -> int | None:
    """Return the best class after "none", which comes first, if it has more than half of the probability."""
    chances = np.exp(scores - scores.max())
    best = int(chances.argmax())
    return best - 1 if best and chances[best] > 0.5 * chances.sum() else None
