"""Text vectors for a process that holds no net: another worker is asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workers.messages import NoWorker

if TYPE_CHECKING:
    from workers.messages import Messenger


class AskedEncoder:
    """Looks like `models.embedding.TextEncoder`; each text is a message to a worker that has one."""

    def __init__(self, messenger: Messenger, space: str) -> None:
        self._messenger = messenger
        self.space = space

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give the unit vectors of texts, (N, D) float32.

        Raises:
            ConnectionError: no worker answers just now.
        """
        try:
            return np.asarray([self._messenger.vector(text) for text in texts], np.float32)
        except NoWorker as error:
            raise ConnectionError(str(error)) from error
