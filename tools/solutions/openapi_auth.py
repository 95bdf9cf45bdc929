"""How we prove to a service who asks."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tools.fetch import Fetched
from tools.solutions.asking import Asking
from tools.solutions.base import Auth, BearerAuth, ClientCredentials, HeaderAuth, Secret, SolutionAway, SolutionFault
from tools.solutions.openapi_arguments import FORM

TOKEN_BYTES = 65_536
LASTS_S = 300.0  # where the token service does not say
EARLY_S = 30.0  # how long before its end a token is left, or a fifth of its time where that is less
WAIT_S = 0.1
_CODE = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(frozen=True)
class _Token:
    value: str
    ends: float


class Credentials:
    """Gives the headers of each request; secrets are read anew each time, so a new file counts at once.

    Args:
        auth: as declared; None gives no header.

    Raises:
        SecretMissing: a secret is not there.
    """

    def __init__(self, auth: Auth | None) -> None:
        self._auth = auth
        self._token: _Token | None = None
        self._lock = threading.Lock()
        self.secrets()

    @property
    def renews(self) -> bool:
        """It can get another token when one is refused."""
        return isinstance(self._auth, ClientCredentials)

    def header_names(self) -> frozenset[str]:
        """Give the headers, in lower case, that are its own."""
        return frozenset(
            {"authorization"} | ({self._auth.name.lower()} if isinstance(self._auth, HeaderAuth) else set())
        )

    def secrets(self) -> list[str]:
        """Give all that no message may hold.

        Raises:
            SecretMissing: a secret is not there.
        """
        auth, token = self._auth, self._token
        if isinstance(auth, ClientCredentials):
            return [auth.client_secret.read(), _plain(auth.client_id), *([token.value] if token else [])]
        if auth is None:
            return []
        return [auth.value.read() if isinstance(auth, HeaderAuth) else auth.token.read()]

    def headers(self, asking: Asking) -> dict[str, str]:
        """Give the headers that prove who asks.

        Raises:
            SecretMissing: a secret is not there.
            SolutionError: the token service gave no token.
        """
        if isinstance(self._auth, HeaderAuth):
            return {self._auth.name: self._auth.value.read()}
        if isinstance(self._auth, BearerAuth):
            return {"Authorization": f"Bearer {self._auth.token.read()}"}
        if isinstance(self._auth, ClientCredentials):
            return {"Authorization": f"Bearer {self._current(self._auth, asking)}"}
        return {}

    def refuse(self, headers: dict[str, str]) -> None:
        """Say that the service refused the token in these headers; unless another came since, it is forgotten."""
        token = self._token
        if token is not None and headers.get("Authorization") == f"Bearer {token.value}":
            self._token = None

    def _current(self, auth: ClientCredentials, asking: Asking) -> str:
        # One thread asks, the others wait for its token, and can be ended while they do.
        while not self._lock.acquire(timeout=WAIT_S):
            asking.check()
        try:
            token = self._token
            if token is None or time.monotonic() >= token.ends:
                token = self._token = _asked(auth, asking)
            return token.value
        finally:
            self._lock.release()


def _asked(auth: ClientCredentials, asking: Asking) -> _Token:
    """Ask for a token (RFC 6749, section 4.4); the client is named in a header, or in the body if that is refused."""
    identity, secret = _plain(auth.client_id), auth.client_secret.read()
    form = {"grant_type": "client_credentials"} | ({"scope": auth.scope} if auth.scope else {})
    pair = f"{quote(identity, safe='')}:{quote(secret, safe='')}"
    basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    answer = _post(auth, asking, form, basic)
    if answer.status in {400, 401} and _error(answer) == "invalid_client":
        answer = _post(auth, asking, form | {"client_id": identity, "client_secret": secret}, {})
    return _token(answer)


def _post(auth: ClientCredentials, asking: Asking, form: dict[str, str], headers: dict[str, str]) -> Fetched:
    headers = headers | {"Content-Type": FORM, "Accept": "application/json"}
    return asking.fetch(
        "POST", auth.token_url, headers=headers, content=urlencode(form).encode(), max_bytes=TOKEN_BYTES
    )


def _token(answer: Fetched) -> _Token:
    if answer.status == 429 or answer.status >= 500:
        raise SolutionAway(f"the token service answered {answer.status}")
    said = _said(answer)
    value = said.get("access_token")
    if answer.status != 200 or not isinstance(value, str) or not value:
        code = _error(answer) or "no reason given"
        raise SolutionFault(
            f"the token service answered {answer.status} ({code}); check client_id, client_secret and scope"
        )
    if str(said.get("token_type", "bearer")).lower() != "bearer":
        raise SolutionFault("the token service gave a token that is not a bearer token")
    lasts = said.get("expires_in")
    lasts_s = float(lasts) if isinstance(lasts, int | float) and lasts > 0 else LASTS_S
    return _Token(value, time.monotonic() + lasts_s - min(EARLY_S, lasts_s / 5))


def _error(answer: Fetched) -> str:
    """Give the service's code of what went wrong; nothing longer, which could hold what it was sent."""
    code = _said(answer).get("error")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _said(answer: Fetched) -> dict[str, Any]:
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _plain(value: str | Secret) -> str:
    return value.read() if isinstance(value, Secret) else value
