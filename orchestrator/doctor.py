"""Examines a studio: what is there, what is missing, what to do."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import shutil
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from orchestrator import broker, home, listing
from orchestrator.errors import SettingsError, StudioError
from orchestrator.settings import Settings, read_settings
from orchestrator.studio import missing

State = Literal["ok", "warning", "missing"]
FREE_BYTES = 2 << 30
FEW_BYTES = 200 << 20
TIMEOUT_S = 4.0
REBUILD = "atelier index rebuild; search is right meanwhile, and slower"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; "missing" means that the studio cannot work without it."""

    what: str
    state: State
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything."""
    findings = [_python(), *_packages()]
    try:
        settings = read_settings()
    except SettingsError as error:
        return [*findings, Finding("settings", "missing", error.message, "correct it, then run `atelier doctor` again")]
    findings.append(Finding("settings", "ok", f"data folder {settings.home}"))
    if settings.url is not None:
        return [*findings, _elsewhere(settings)]
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _folder,
        _server,
        _index_server,
        _weights,
        _language_model,
        _database,
        _blobs,
        _running,
    )
    for look in looks:
        findings.extend(look(settings))
    return findings


def is_well(findings: list[Finding]) -> bool:
    """Say whether nothing that is needed is missing."""
    return all(finding.state != "missing" for finding in findings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Finding("python", "ok" if fits else "missing", version, "" if fits else "use Python 3.11 or 3.12")


def _packages() -> Iterator[Finding]:
    lacking: list[str] = []
    for requirement in metadata.requires("atelier") or ():
        if "extra ==" in requirement:
            continue
        name = re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0]
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            lacking.append(name)
    if lacking:
        yield Finding("packages", "missing", f"not installed: {', '.join(lacking)}", "run `make install`")
    else:
        yield Finding("packages", "ok", f"atelier {metadata.version('atelier')} and all that it needs")


def _folder(settings: Settings) -> Iterator[Finding]:
    existing = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        yield Finding("data folder", "missing", f"{existing} cannot be written", "choose another with ATELIER_HOME")
        return
    free = shutil.disk_usage(existing).free
    said = f"{settings.home}, {free / (1 << 30):.1f} GB free"
    if free < FEW_BYTES:
        yield Finding("data folder", "missing", said, "make room on this disk, or choose another with ATELIER_HOME")
    elif free < FREE_BYTES:
        yield Finding("data folder", "warning", said, "make room on this disk")
    else:
        yield Finding("data folder", "ok", said)


def _server(settings: Settings) -> Iterator[Finding]:
    if settings.broker_url is not None:
        yield _asked_broker(settings.broker_url)
        return
    try:
        server = broker.find_server()
        home.socket_path(settings.home)
    except StudioError as error:
        yield Finding("broker", "missing", error.message, "")
        return
    yield Finding("broker", "ok", f"{server.name} {server.version} at {server.path}")


def _asked_broker(url: str) -> Finding:
    from kombu import Connection

    from workers.brokers import spelled

    where = _without_password(url)
    try:
        with Connection(spelled(url), connect_timeout=TIMEOUT_S) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT_S)
            connection.default_channel.close()
    except Exception as error:  # noqa: BLE001  # each transport raises its own
        said = _without_password(str(error)) or type(error).__name__
        return Finding(
            "broker", "missing", f"{where} does not answer: {said}", "start it, or correct ATELIER_BROKER_URL"
        )
    return Finding("broker", "ok", f"{where} answers")


def _index_server(settings: Settings) -> Iterator[Finding]:
    if settings.index == "pgvector":
        yield Finding("index", "ok", "pgvector in PostgreSQL")
    elif settings.chroma_host is not None:
        yield _asked_chroma(settings.chroma_host, settings.chroma_port)
    elif importlib.util.find_spec("chromadb_rust_bindings") is None:
        yield Finding("index", "missing", "no Chroma server is installed", "run `make install`")
    else:
        yield Finding("index", "ok", f"chroma {metadata.version('chromadb')}, started with the studio")


def _asked_chroma(host: str, port: int) -> Finding:
    where = f"Chroma at {host}:{port}"
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/api/v2/heartbeat", timeout=TIMEOUT_S):
            return Finding("index", "ok", f"{where} answers")
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = f"{where} does not answer ({getattr(error, 'reason', error)}); search compares all vectors meanwhile"
        return Finding("index", "warning", said, "start it, or correct ATELIER_CHROMA_HOST and ATELIER_CHROMA_PORT")


def _weights(settings: Settings) -> Iterator[Finding]:
    for model in listing.models(settings, check=True):
        what = f"weights of {model['id']}"
        if model["fault"] is not None:
            yield Finding(what, "missing", model["fault"], listing.REMEDY)
        elif model["size_bytes"] is None:
            yield Finding(what, "ok", "somewhere else; asked at the first use")
        else:
            yield Finding(what, "ok", f"{model['size_bytes'] / 1e6:.0f} MB, sha256 {model['weights'][:12]}…")


def _language_model(settings: Settings) -> Iterator[Finding]:
    if settings.language_model == "openai":
        yield _asked(settings)
        return
    from orchestrator import parts

    try:
        parts.chat_model(settings)
    except (SettingsError, ValueError) as error:
        yield Finding("language model", "missing", str(error), "correct ATELIER_LLM, or run `make install`")
    else:
        yield Finding("language model", "ok", settings.llm)


def _asked(settings: Settings) -> Finding:
    """Ask an OpenAI-compatible server for its list of models; the key goes into a header, never into a message."""
    base = (settings.llm_base_url or "https://api.openai.com/v1").rstrip("/")
    if urlsplit(base).scheme not in {"http", "https"}:
        return Finding("language model", "missing", f"{base!r} is no HTTP address", "correct ATELIER_LLM_BASE_URL")
    request = urllib.request.Request(f"{base}/models")  # noqa: S310  # checked above
    if settings.llm_api_key is not None:
        request.add_header("Authorization", f"Bearer {settings.llm_api_key.get_secret_value()}")
    shown = f"{settings.llm_model or 'the server’s own model'} at {_without_password(base)}"
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return Finding("language model", "ok", shown)
    except urllib.error.HTTPError as error:
        if error.code in {401, 403}:
            return Finding("language model", "missing", f"{shown} refuses the key", "set ATELIER_LLM_API_KEY")
        return Finding("language model", "warning", f"{shown} answers {error.code} when asked for its models")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        remedy = "start it, or correct ATELIER_LLM_BASE_URL"
        return Finding("language model", "missing", f"{shown} does not answer: {why}", remedy)


def _database(settings: Settings) -> Iterator[Finding]:
    where = _without_password(settings.database_url)
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    if settings.database_url.startswith("sqlite") and not path.exists():
        yield Finding("database", "ok", f"{where} is made at the first start")
        return
    from sqlalchemy.exc import SQLAlchemyError

    from store import schema
    from store.database import Database

    database = Database(settings.database_url)
    try:
        current = schema.is_current(database)
    except SQLAlchemyError as error:
        yield Finding("database", "missing", f"{where}: {error.__class__.__name__}", "see that the server runs")
        return
    finally:
        database.close()
    found = "is current" if current else "is older; it is brought up to date at the next start"
    yield Finding("database", "ok", f"{where} {found}")


def _blobs(settings: Settings) -> Iterator[Finding]:
    if "://" not in settings.blobs_url:
        return  # below the data folder, or a folder as good as that
    from store.blobs import BlobError, Blobs, BlobsDown

    try:
        Blobs(settings.blobs_url).check()
    except (BlobError, BlobsDown) as error:
        yield Finding("blobs", "missing", str(error), "correct ATELIER_BLOBS_URL or the AWS_ variables; docs/backup.md")
    else:
        yield Finding("blobs", "ok", settings.blobs_url)


def _running(settings: Settings) -> Iterator[Finding]:
    card = home.running(settings.home)
    if card is not None:
        lacking = missing(card.url, timeout_s=TIMEOUT_S, key=card.key)
        if lacking:
            what = "; ".join(f"{name} {detail}" for name, detail in lacking.items())
            yield Finding("studio", "warning", f"runs at {card.url}, but {what}", f"see the logs in {settings.logs}")
        else:
            yield Finding("studio", "ok", f"runs at {card.url} since {card.since}, process {card.pid}")
            yield _index_agrees(settings, card)
            yield from _solutions(settings, card)
        return
    address = f"http://{settings.host}:{settings.port}"
    if _is_api(address):
        yield Finding("studio", "ok", f"an API answers at {address}; set ATELIER_URL to use it, and ATELIER_KEY")
        return
    yield Finding("studio", "ok", "does not run; commands start one when they need it")
    with socket.socket() as probe:
        probe.settimeout(1)
        if settings.port and probe.connect_ex((settings.host, settings.port)) == 0:
            yield Finding("port", "warning", f"{settings.port} is used by another program", "atelier up --port 0")


def _is_api(address: str) -> bool:
    """Say whether `atelier api`, of a cluster or of another data folder, answers there."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=TIMEOUT_S) as answer:  # noqa: S310  # http, from us
            return "version" in json.load(answer)
    except (OSError, ValueError, TypeError, http.client.HTTPException):
        return False


def _ask(settings: Settings, card: home.Card, path: str, timeout_s: float) -> Any:
    key = card.key if settings.key is None else settings.key.get_secret_value()
    asked = urllib.request.Request(card.url + path, headers={"authorization": f"Bearer {key}"})  # noqa: S310  # ours
    with urllib.request.urlopen(asked, timeout=timeout_s) as answer:  # noqa: S310
        return json.load(answer)


def _elsewhere(settings: Settings) -> Finding:
    """Look at a studio on another machine; its own `atelier doctor` looks at its parts."""
    from orchestrator.cli import connect

    try:
        with connect.studio(settings) as client:
            client.get("/v1/runs", limit=1)
    except StudioError as error:
        return Finding("studio", "missing", error.message, "see ATELIER_URL and ATELIER_KEY")
    return Finding("studio", "ok", f"answers at {settings.url}")


def _index_agrees(settings: Settings, card: home.Card) -> Finding:
    try:
        said = _ask(settings, card, "/v1/index", 40)
    except (OSError, ValueError) as error:
        return Finding("index", "warning", f"could not be looked at: {error}", REBUILD)
    return Finding("index", "ok" if said["ok"] else "warning", said["detail"], "" if said["ok"] else REBUILD)


def _solutions(settings: Settings, card: home.Card) -> Iterator[Finding]:
    """Name the solutions whose tools cannot be used as they should."""
    try:
        found = _ask(settings, card, "/v1/solutions", TIMEOUT_S)["data"]
    except (OSError, ValueError) as error:
        yield Finding("solutions", "warning", f"could not be looked at: {error}", "atelier solutions list")
        return
    for one in found:
        if one["state"] != "approved":
            why = (one["error"] or {}).get("message") or "its tools were not approved yet"
            remedy = f"atelier solutions check {one['id']}" if one["kind"] != "package" else "correct the package"
            yield Finding(f"solution {one['id']}", "warning", f"is {one['state']}: {why}", remedy)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)
