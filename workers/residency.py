"""Keeps models loaded, the least recently used one leaving first when memory is short."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


class Residency:
    """Loaded models by family, within a budget of bytes.

    Args:
        load: gives the model of a family; the model says its `size_bytes`.
        budget_bytes: when the loaded models are larger together, the least recently used ones leave, but the one
            that is asked for always stays.
    """

    def __init__(self, load: Callable[[str], Any], budget_bytes: int) -> None:
        self._load = load
        self._budget_bytes = budget_bytes
        self._models: OrderedDict[str, Any] = OrderedDict()
        self._loads: dict[str, int] = {}
        self._lock = threading.Lock()

    def get(self, family: str) -> Any:
        """Give the model, loading it if it is not there."""
        with self._lock:
            if family not in self._models:
                started = time.monotonic()
                self._models[family] = self._load(family)
                self._loads[family] = self._loads.get(family, 0) + 1
                log.info("loaded model %r in %.2f s", family, time.monotonic() - started)
            self._models.move_to_end(family)
            self._shrink()
            return self._models[family]

    def _shrink(self) -> None:
        while len(self._models) > 1 and sum(_size(m) for m in self._models.values()) > self._budget_bytes:
            family, _ = self._models.popitem(last=False)
            log.info("model %r left memory for others", family)

    def loads(self) -> dict[str, int]:
        """Give how often each family was loaded in this process."""
        return dict(self._loads)

    def sizes(self) -> dict[str, int]:
        """Give the bytes of each model that is loaded now."""
        return {name: _size(model) for name, model in list(self._models.items())}


def _size(model: Any) -> int:
    return int(getattr(model, "size_bytes", 0))
