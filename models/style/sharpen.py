"""The second part of a training: a critic that knows the company's pictures makes lines bold and areas even.

The way back from bare pictures is ambiguous in places, and a net that minds only its mean error draws the middle. The
critic (hinge loss, patches of 16 pixels) sees pictures of the company, and known things carried over to the look.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from models.emoji.sources import STYLES
from models.style import checkpoint, material
from models.vae.net import Critic
from models.vae.sample import Vae

RATE, DECODER_RATE, CRITIC_RATE = 5e-4, 2e-4, 5e-4
BETAS = (0.5, 0.99)
EMA_DECAY = 0.995
WIDTH = 32
WEIGHT = 0.025  # of the critic beside the errors of pictures
ALONE = 0.15  # of this part the critic learns alone first
KNOWN = 80  # pictures of each shipped style
ACCEPTED = 1.15  # times the held-out error before: sharper pictures are a little less the mean


class Sharpener:
    """The critic and the known things that it looks at."""

    def __init__(self, vae: Vae, inset: float, seed: int, device: str) -> None:
        memory = vae.memory
        if memory is None:
            raise ValueError("a look starts from known pictures: load the VAE with Vae.load")
        known = [material.known(vae, memory, style, inset, KNOWN, seed).latents for style in STYLES]
        self._known, self._device = torch.cat(known), device
        torch.manual_seed(seed)
        self.critic = Critic(WIDTH).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(self.critic.parameters(), CRITIC_RATE, betas=BETAS)

    def known(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw latents of known things, (count, C, H, W)."""
        return self._known[torch.randint(len(self._known), (count,), generator=generator)].to(self._device)

    def loss(self, real: Tensor, drawn: Tensor, done: float, cast: torch.autocast) -> Tensor:
        """Teach the critic one step, and return what a generator adds to its loss.

        Args:
            real, drawn: (B, 3, 64, 64) of the company, and in its look.
            done: part of the sharpening that is behind, in [0, 1].
            cast: the precision that the nets run in.
        """
        with cast:
            seen, made = self.critic(real)[0].float(), self.critic(drawn.detach())[0].float()
        error = functional.relu(1 - seen).mean() + functional.relu(1 + made).mean()
        self._optimiser.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        if done < ALONE:
            return drawn.new_zeros(())
        with cast:
            liked: Tensor = self.critic(drawn)[0].float().mean()
        return -WEIGHT * liked

    def state(self) -> dict[str, Mapping[str, Tensor]]:
        """Give what a checkpoint keeps."""
        moments = checkpoint.moments(self.critic, self._optimiser)
        return {"critic": self.critic.state_dict(), "critic_moments": moments}

    def restore(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take back what `state` gave."""
        self.critic.load_state_dict(dict(parts["critic"]))
        checkpoint.restore_moments(self.critic, self._optimiser, parts.get("critic_moments", {}))
