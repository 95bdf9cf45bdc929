"""What can go wrong with a language model, in our words; foreign errors are translated here, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

AWAY = ("APIConnectionError", "APITimeoutError", "RateLimitError", "InternalServerError", "OverloadedError",
        "ServiceUnavailableError", "ConnectError", "ConnectTimeout", "ReadTimeout", "RemoteProtocolError", "ReadError",
        "TransportError", "TimeoutException")  # fmt: skip


class LanguageModelError(Exception):
    """The language model refused or could not answer; asking again would not help."""


class LanguageModelAway(LanguageModelError, ConnectionError):
    """The language model does not answer just now; asking again later may help."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of any provider into ours, with the cause kept.

    Raises:
        LanguageModelAway: no answer, too slow, or too busy.
        LanguageModelError: refused: a wrong key, an unknown model, a bad request.
    """
    try:
        yield
    except (LanguageModelError, ValueError, TypeError, AttributeError, KeyError):
        raise  # ours, or a bug of ours
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        if isinstance(error, (ConnectionError, TimeoutError)) or names & set(AWAY):
            raise LanguageModelAway(said) from error
        if type(error).__module__.split(".")[0] in {
            "openai",
            "anthropic",
            "httpx",
            "ollama",
            "google",
            "groq",
            "mistralai",
        }:
            raise LanguageModelError(f"the language model refused: {said}") from error
        raise
