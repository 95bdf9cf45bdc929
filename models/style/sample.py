"""Draw in a look that was trained here. Letters: N pictures, C, H, W of a latent, D numbers of a text vector."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.emoji.memory import Memory
from models.style import weights
from models.style.material import smaller
from models.style.net import StyleConfig, StyleNet
from models.vae.net import Decoder, Encoder, VaeNet
from models.vae.sample import Vae

OWN_NOISE = 0.7  # of the posterior's spread, where a picture of the company is drawn again
NEAR_STRENGTH, FAR_STRENGTH = 0.25, 0.6  # below the first a version keeps the picture, from the second it is another
ABOUT_AS_NEAR = 0.02  # captions whose cosines differ by less are taken in turn


class Style:
    """A look: the adapter, the decoder, and the company's own pictures as a memory.

    Attributes:
        sha256: of the file that it was loaded from.
        captions: (N, D) float32, unit vectors of the captions of the company's pictures.
        own: (N, C, H, W) float32, the latents of these pictures.
    """

    def __init__(
        self,
        net: StyleNet,
        config: StyleConfig,
        captions: np.ndarray,
        own: np.ndarray,
        sha256: str,
        device: str = "cpu",
    ) -> None:
        self.net, self.config, self.sha256, self.device = net.eval().to(device), config, sha256, device
        self.captions, self.own = np.asarray(captions, np.float32), np.asarray(own, np.float32)
        held = sum(p.numel() * p.element_size() for p in net.parameters())
        self.size_bytes = held + self.captions.nbytes + self.own.nbytes

    @classmethod
    def from_bytes(cls, content: bytes, device: str = "cpu") -> Style:
        """Load the file that a training wrote, onto "cpu" or "cuda".

        Raises:
            CheckpointError: it holds something else.
        """
        config, arrays = weights.read(content)
        captions, own = arrays.pop("captions"), arrays.pop("own") * arrays.pop("own_scale")[:, None, None]
        net = StyleNet(config)
        net.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
        return cls(net, config, captions, own, hashlib.sha256(content).hexdigest(), device)

    def decoder(self, vae: Vae) -> Vae:
        """Give a decoder of latents of this look, which enlarges as the shipped one does."""
        return Vae(_Halves(vae.net.encoder, self.net.decoder), vae.config, vae.upscaler, device=self.device)

    def sample(self, net: Any, vae: Vae, text_vectors: np.ndarray, seeds: list[int]) -> np.ndarray:
        """Draw a latent of this look for each text.

        What the company drew itself starts from its own picture; everything else is carried over from what is known.

        Args:
            net: draws known things: the conditional GAN or the VAE.
            vae: the shipped one.
            text_vectors: (N, D) float32, unit length.
            seeds: N numbers; the same text and seed draw the same latent, whatever stands beside them.

        Returns:
            (N, C, H, W) float32.
        """
        return np.stack([self._one(net, vae, *row) for row in zip(text_vectors, seeds, strict=True)])

    def vary(
        self, net: Any, vae: Vae, latent: np.ndarray, text: np.ndarray, strength: float, seed: int, *, anew: bool
    ) -> np.ndarray:
        """Make another version of a picture of this look, in this look.

        Args:
            net: the conditional GAN.
            vae: the shipped one.
            latent: (C, H, W) float32, of the picture as the shipped encoder sees it.
            text: (D,) float32, what the version shows.
            strength: 0 nearly the same, 1 another picture.
            seed: the same seed makes the same version.
            anew: draw the text also where a version would be near to the picture.

        Returns:
            (C, H, W) float32.
        """
        if strength < NEAR_STRENGTH or (strength < FAR_STRENGTH and not anew):
            varied = net.vary(latent, None, strength, seed)
            return np.asarray(varied, np.float32)
        return np.asarray(self.sample(net, vae, text[None], [seed])[0])

    def own_row(self, text: np.ndarray, memory: Memory | None, turn: int) -> int | None:
        """Tell which picture of the company shows what a text says, if one does.

        A text that names another colour than the caption wants another picture.
        """
        cosines = self.captions @ np.asarray(text, np.float32)
        best = float(cosines.max())
        if best < self.config.own_cosine:
            return None
        rows = np.flatnonzero(cosines > best - ABOUT_AS_NEAR)
        if memory is not None:
            colour = memory.colour_of(text)
            rows = np.array([row for row in rows if colour is None or memory.colour_of(self.captions[row]) == colour])
        return int(rows[turn % len(rows)]) if len(rows) else None

    def carried(self, vae: Vae, latents: np.ndarray) -> np.ndarray:
        """Carry latents (N, C, H, W) of known things over to this look."""
        if self.config.inset < 1:
            latents = vae.encode(smaller(vae.decode(latents), self.config.inset))
        return np.stack([self._carry(latent) for latent in latents])

    def _one(self, net: Any, vae: Vae, text: np.ndarray, seed: int) -> np.ndarray:
        row = self.own_row(text, vae.memory, seed)
        if row is None:
            return np.asarray(self.carried(vae, net.sample(text[None], [None], [seed]))[0])
        noise = np.random.Generator(np.random.PCG64(seed)).standard_normal(self.own[row].shape, dtype=np.float32)
        spread = np.float32(0) if vae.memory is None else vae.memory.spread[:, None, None]
        return np.asarray(self.own[row] + np.float32(OWN_NOISE) * noise * spread, np.float32)

    def _carry(self, latent: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(latent, np.float32))[None]
            z: Tensor = self.net.adapter(x.to(self.device))
        return np.ascontiguousarray(z[0].cpu().numpy(), np.float32)


class _Halves(VaeNet):
    """An encoder and a decoder of two nets."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        torch.nn.Module.__init__(self)
        self.encoder, self.decoder = encoder, decoder
