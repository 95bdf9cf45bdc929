"""From settings to the parts that several processes open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import SettingsError
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from models.embedding import HashEncoder, TextEncoder
    from store.index import Index


def text_encoder(settings: Settings) -> TextEncoder | HashEncoder:
    """Give the text encoder; it loads its net at the first text. "hash" is the stand-in that tests use."""
    from models.embedding import HashEncoder, TextEncoder
    from models.language.weights import ENCODER_FOLDER, FOLDER

    if settings.encoder == "hash":
        return HashEncoder()
    return TextEncoder(settings.encoder or settings.home / FOLDER / ENCODER_FOLDER, settings.net_threads or None)


def text_space(settings: Settings) -> str:
    """Give the name of the space that the encoder's vectors lie in."""
    return text_encoder(settings).space


def chat_model(settings: Settings) -> BaseChatModel:
    """Give the language model; nothing is loaded and nothing is asked before its first call.

    Raises:
        SettingsError: a package, a key or a name is missing.
    """
    from models.language.seam import LanguageSetupError, chat_model
    from models.language.weights import CheckpointError

    key = settings.llm_api_key
    try:
        return chat_model(
            settings.llm,
            home=settings.home,
            base_url=settings.llm_base_url,
            model=settings.llm_model,
            api_key=None if key is None else key.get_secret_value(),
        )
    except (LanguageSetupError, CheckpointError) as error:
        raise SettingsError(str(error)) from error


def has_index(settings: Settings) -> bool:
    """Say whether the settings name a search index; without one all vectors are compared."""
    return settings.index == "pgvector" or settings.chroma_host is not None


def search_index(settings: Settings) -> Index:
    """Give the search index; it connects at the first call.

    Raises:
        SettingsError: no server is named, or pgvector is wanted of a database that is not PostgreSQL.
    """
    if settings.index == "pgvector":
        if not settings.database_url.startswith("postgresql"):
            raise SettingsError("index = pgvector lies in PostgreSQL: set ATELIER_DATABASE_URL, or index = chroma")
        from store.pgvector import PgVectorIndex

        return PgVectorIndex(settings.database_url)
    from store.index import ChromaIndex

    if settings.chroma_host is None:
        raise SettingsError("there is no index: `atelier up` starts one, or set ATELIER_CHROMA_HOST")
    return ChromaIndex(settings.chroma_host, settings.chroma_port)
