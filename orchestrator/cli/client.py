"""The studio over HTTP, as the command line uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import NotFound, StudioError, StudioNotReady

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
READ_S = 90.0  # a plan may take a minute
RECONNECTS = 20
TERMINAL = frozenset({"run.completed", "run.failed", "run.cancelled"})


class Refused(StudioError):
    """The studio answered with an error; its message says what to do."""

    code = "refused"


class Client:
    """A connection to a studio; whoever makes it closes it."""

    def __init__(self, url: str, key: str | None = None, *, elsewhere: bool = False) -> None:
        """Open nothing yet.

        Args:
            url: of the studio, http or https.
            key: shown with every request, and to nobody that the studio sends us on to.
            elsewhere: on another machine, where the proxies and certificates that the environment names count.
        """
        import httpx

        self.url = url
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            trust_env=elsewhere,
            headers={} if key is None else {"authorization": f"Bearer {key}"},
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Read something.

        Raises:
            StudioError: the studio refused, or does not answer.
        """
        return self._ask("GET", path, params={k: v for k, v in params.items() if v is not None})

    def post(self, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """Send something; `body` as JSON.

        Raises:
            StudioError: the studio refused, or does not answer.
        """
        return self._ask("POST", path, json=body, **options)

    def patch(self, path: str, body: Any) -> dict[str, Any]:
        """Change something; `body` as JSON.

        Raises:
            StudioError: the studio refused, or does not answer.
        """
        return self._ask("PATCH", path, json=body)

    def delete(self, path: str) -> None:
        """Remove something.

        Raises:
            StudioError: the studio refused, or does not answer.
        """
        self._ask("DELETE", path)

    def pages(self, path: str, limit: int, **params: Any) -> list[dict[str, Any]]:
        """Read a list up to `limit` rows, over as many pages as that takes."""
        rows: list[dict[str, Any]] = []
        before: str | None = None
        while len(rows) < limit:
            page = self.get(path, before=before, limit=min(200, limit - len(rows)), **params)
            rows += page["data"]
            before = page["next"]
            if not page["has_more"]:
                break
        return rows

    def send_file(self, path: str, file: Path) -> dict[str, Any]:
        """Send a file as the body."""
        with file.open("rb") as body:
            return self._ask("POST", path, content=body, headers={"content-type": "application/octet-stream"})

    def lines(self, path: str) -> Iterator[str]:
        """Read an answer line by line as it comes."""
        import httpx

        try:
            with self._http.stream("GET", path) as answer:
                _check(answer)
                yield from answer.iter_lines()
        except httpx.HTTPError as error:
            raise self._gone(error) from error

    def download(self, path: str, to: Path) -> Path:
        """Write an answer's bytes to a file, whole or not at all."""
        import httpx

        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(f".{to.name}.part")
        try:
            with self._http.stream("GET", path, follow_redirects=True) as answer, part.open("wb") as file:
                _check(answer)
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            part.unlink(missing_ok=True)
            raise self._gone(error) from error
        except StudioError:
            part.unlink(missing_ok=True)
            raise
        return part.replace(to)

    def events(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Follow a run to its end, over broken connections too; each event comes once."""
        import httpx

        last, broken = 0, 0
        while broken < RECONNECTS:
            try:
                for event in self._stream(run_id, last):
                    last, broken = event["sequence_number"], 0
                    yield event
                return
            except httpx.TransportError:  # the API was restarted: go on behind the last event
                broken += 1
                time.sleep(min(2.0, 0.1 * 2**broken))
        raise StudioNotReady(f"the studio at {self.url} went away; `atelier up` goes on with run {run_id}")

    def _stream(self, run_id: str, last: int) -> Iterator[dict[str, Any]]:
        headers = {"last-event-id": str(last)} if last else {}
        with self._http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
            _check(answer)
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    event: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    yield event

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        import httpx

        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._gone(error) from error
        _check(answer)
        said: dict[str, Any] = answer.json() if answer.content else {}
        return said

    def _gone(self, error: Exception) -> StudioNotReady:
        why = str(error) or type(error).__name__
        return StudioNotReady(f"the studio at {self.url} does not answer ({why}); try `atelier doctor`")


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    answer.read()
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the studio answered {answer.status_code} to {answer.request.url.path}"
    raise NotFound(message) if answer.status_code == 404 else Refused(message)
