"""From settings to the parts that several processes open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import SettingsError
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from models.embedding import TextEncoder
    from store.index import ChromaIndex


def text_encoder(settings: Settings) -> TextEncoder:
    """Give the text encoder; it loads its net at the first text."""
    from models.embedding import TextEncoder

    return TextEncoder(settings.encoder or str(settings.home / "weights" / "all-MiniLM-L6-v2"))


def text_space(settings: Settings) -> str:
    """Give the name of the space that the encoder's vectors lie in."""
    return text_encoder(settings).space


def search_index(settings: Settings) -> ChromaIndex:
    """Give the search index; it connects at the first call.

    Raises:
        SettingsError: no server is named.
    """
    from store.index import ChromaIndex

    if settings.chroma_host is None:
        raise SettingsError("there is no index: `atelier up` starts one, or set ATELIER_CHROMA_HOST")
    return ChromaIndex(settings.chroma_host, settings.chroma_port)
