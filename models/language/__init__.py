"""One seam to language models: the local one, any LangChain provider, and a scripted one for tests."""

from models.language.seam import LanguageSetupError, chat_model, dialect
from models.language.weights import CheckpointError

__all__ = ["CheckpointError", "LanguageSetupError", "chat_model", "dialect"]
