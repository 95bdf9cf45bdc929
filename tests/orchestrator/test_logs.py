"""What stands in the log, and what never does."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import logs
from orchestrator.settings import Settings
from workers.about import about, keep_private

PASSWORD, KEY, TOKEN = "pg-pass-4711", "atl-admin-0815-key-0815-key", "crm-token-2342"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Configure the log of this process, and give what is written."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    written = io.StringIO()
    monkeypatch.setenv("CRM_TOKEN", TOKEN)

    def configure(**given: Any) -> io.StringIO:
        solutions = {"crm": {"kind": "openapi", "document": "http://crm.test/openapi.json",
                             "auth": {"type": "bearer", "token": {"env": "CRM_TOKEN"}}}}  # fmt: skip
        given = {"home": tmp_path, "solutions": solutions, "admin_key": KEY, **given}
        logs.configure(Settings(database_url=f"postgresql+psycopg://studio:{PASSWORD}@db/studio", **given), "api")
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
        return written

    yield configure
    root.handlers, root.level = before[0], before[1]
    logging.captureWarnings(capture=False)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_is_an_object_with_the_ids_of_its_work(log: Callable[..., io.StringIO]) -> None:
    written = log(log_format="json")
    with about(run="run_1", step="step_1", tool="draw", owner="ann"), about(request="r1"):
        logging.getLogger("workers.work").info("two\nlines and a %s", "word")
    logging.getLogger("x").warning("outside")
    inside, outside = lines(written)
    assert inside["message"] == "two\nlines and a word"
    assert inside["time"].endswith("+00:00")
    assert {"level": "info", "logger": "workers.work", "process": "api", "run": "run_1", "request": "r1"}.items() <= (
        inside.items()
    )
    assert "run" not in outside


def test_warnings_and_tracebacks_are_lines_too(log: Callable[..., io.StringIO]) -> None:
    written = log(log_format="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("mind the gap", stacklevel=1)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("it broke")
    first, second = lines(written)
    assert "mind the gap" in first["message"]
    assert "ValueError: broken" in second["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_ever_written(log: Callable[..., io.StringIO], form: str) -> None:
    written = log(log_format=form)
    for said in (
        f"cannot connect to postgresql://studio:{PASSWORD}@db",
        f"the key {KEY} is wrong",
        f"{{'authorization': 'Bearer {TOKEN}'}}",
        "GET https://s3.test/b/k?X-Amz-Credential=unknown-cred&X-Amz-Signature=unknown-sign",
        "amqp://guest:unknown-pass@rabbit//",
        "api_key='unknown-api-key'",
        "Authorization: Basic dW5rbm93bjpwYXNz",
    ):
        try:
            raise ConnectionError(said)
        except ConnectionError:
            logging.getLogger("x").exception("%s", said)
    text = written.getvalue()
    for secret in (PASSWORD, KEY, TOKEN, "unknown-", "dW5rbm93"):
        assert secret not in text
    assert "cannot connect to postgresql" in text


def test_prompts_are_held_back_unless_they_are_asked_for(log: Callable[..., io.StringIO]) -> None:
    def tell() -> None:
        with about({"prompt": "a 'shy' purple ghost", "model": "cgan", "about": ["@asset_1"]}, run="r"):
            keep_private("draw me the secret plan")
            logging.getLogger("x").error(
                "cgan cannot draw %r of @asset_1: draw me the secret plan", "a 'shy' purple ghost"
            )

    written = log()
    tell()
    assert "cgan cannot draw" in written.getvalue()
    assert "@asset_1" in written.getvalue()
    assert "ghost" not in written.getvalue()
    assert "secret plan" not in written.getvalue()
    log(log_prompts=True)
    tell()
    assert "ghost" in written.getvalue()


def test_libraries_do_not_tell_every_request(log: Callable[..., io.StringIO]) -> None:
    written = log()
    logging.getLogger("httpx").info("HTTP Request: GET https://crm.test/?q=ann")
    assert written.getvalue() == ""
