"""All settings of a studio, read once at the entry point.

A value is looked up in the environment (`ATELIER_PORT=9000`), then in `atelier.toml` of the working directory, then in
`atelier.toml` of the data folder. Every default works on one machine.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Iterable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from orchestrator.errors import SettingsError
from tools.solutions.base import Declaration, Name
from tools.solutions.places import place

if TYPE_CHECKING:
    from tools.addresses import Origin

PREFIX = "ATELIER_"
TEST_PREFIX = "ATELIER_TEST_"  # belongs to the test suite, which talks to servers of its own
FILE = "atelier.toml"
KEY_CHARACTERS = 22  # 128 bits in base 64


def default_home() -> Path:
    """Give the folder that everything is written to when nothing else is said."""
    return Path(platformdirs.user_data_dir("atelier", appauthor=False))


class _File(TomlConfigSettingsSource):
    """Reads settings files; paths of solutions are relative to the file that names them."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        found = super()._read_file(file_path)
        for declared in (found.get("solutions") or {}).values():
            if isinstance(declared, dict):
                place(declared, Path(str(file_path)).parent)
        return found


class Settings(BaseSettings):
    """What can be set; each field is also an environment variable with the prefix ATELIER_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Field(default_factory=default_home, description="the data folder; everything is written below it")
    host: str = Field("127.0.0.1", description="the address that the API listens on; another than loopback wants keys")
    port: int = Field(8484, ge=0, le=65535, description="the port of the API; 0 takes a free one")

    admin_key: SecretStr | None = Field(None, description="a key that may do everything; makes the others")
    url: str | None = Field(None, description="a studio elsewhere that the command line talks to; none: the one here")
    key: SecretStr | None = Field(None, description="the key that the command line shows to that studio")

    database_url: str = Field(
        default_factory=lambda values: f"sqlite:///{values['home'] / 'atelier.db'}",
        description="SQLite or PostgreSQL (postgresql+psycopg://…)",
    )
    broker_url: str | None = Field(None, description="Celery's broker; none: a server started by the studio")
    result_url: str | None = Field(None, description="Redis or Valkey for answers of workers; none: the broker")
    blobs_url: str = Field(
        default_factory=lambda values: str(values["home"] / "blobs"), description="a folder, or any fsspec URL"
    )
    signed_links_s: int = Field(
        0, ge=0, le=604800, description="downloads are sent to a signed link of the blob store, valid so long; 0: never"
    )
    blobs_public_url: str | None = Field(None, description="the blob store's endpoint as clients reach it")
    database_pool: int = Field(8, ge=1, le=200, description="connections to PostgreSQL a process keeps open")
    index: Literal["chroma", "pgvector"] = Field("chroma", description="the search index; pgvector is PostgreSQL's")
    chroma_host: str | None = Field(None, description="a Chroma server; none: one started by the studio")
    chroma_port: int = Field(8000, ge=1, le=65535, description="the port of that Chroma server")

    llm: str = Field("local", description="local, openai, scripted:FILE, or provider:model of LangChain")
    llm_base_url: str | None = Field(None, description="an OpenAI-compatible server; sets llm to openai")
    llm_model: str | None = Field(None, description="the model's name on that server")
    llm_api_key: SecretStr | None = Field(None, description="the key for that server")
    encoder: str | None = Field(None, description="text embedding model, a name or a path; none: the packaged one")

    lease_s: float = Field(15, gt=0, le=3600, description="how long a worker owns a step without a sign of life")
    max_attempts: int = Field(3, ge=1, le=20, description="how often a step is begun before it is given up")
    planner_slots: int = Field(3, ge=1, le=64, description="runs that are planned or answered at once")
    image_slots: int = Field(
        2, ge=1, le=64, description="calls of the image nets at once; a video does not stop pictures"
    )
    net_threads: int = Field(1, ge=1, le=256, description="threads of a forward pass; more gain little and wait much")
    preload: bool = Field(True, description="load the nets when a worker starts, not at the first step")  # noqa: FBT003
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where nets run; auto: a GPU if there is one")
    memory_mb: int = Field(2048, ge=128, description="models above this sum leave memory, least recently used first")
    answer_wait_s: float = Field(
        300, gt=0, le=3600, description="how long OpenAI's clients that do not stream are kept waiting for an answer"
    )
    max_upload_mb: int = Field(64, ge=1, le=4096, description="the largest upload")
    max_batch_mb: int = Field(256, ge=1, le=16384, description="the largest batch file")
    log_format: Literal["text", "json"] = Field("text", description="json: a line is an object, for log collectors")
    log_prompts: bool = Field(False, description="requests and prompts may appear in logs and traces")  # noqa: FBT003
    metrics_port: int = Field(
        0, ge=0, le=65535, description="where each process shows its metrics, without a key; 0: nowhere"
    )
    drain_s: float = Field(
        60, ge=0, le=3600, description="how long a worker that is asked to end goes on with the steps it holds"
    )
    solution_slots: int = Field(4, ge=1, le=64, description="calls of solutions at once, and trainings")
    webhooks_private: str = Field(
        "", description="origins in private networks that webhooks may name: http://10.0.0.5:8080,http://hooks.lan"
    )
    max_open_runs: int = Field(
        10_000, ge=1, description="runs of one owner that wait or are worked on; more are refused with 429"
    )
    max_open_runs_all: int = Field(100_000, ge=1, description="the same, of all owners together")
    solutions: dict[Name, Declaration] = Field(
        default_factory=dict, description="a company's own solutions, a table each: see docs/solutions.md"
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return Path(os.path.abspath(home.expanduser()))  # noqa: PTH100  # a link to the folder stays a link

    @field_validator("admin_key", "key")
    @classmethod
    def _one_word(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("a key is one word of ASCII letters, digits and signs")
        return key

    @field_validator("admin_key")
    @classmethod
    def _long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < KEY_CHARACTERS:
            raise ValueError(f"a key of fewer than {KEY_CHARACTERS} characters can be guessed; `openssl rand -hex 24`")
        return key

    @field_validator("webhooks_private")
    @classmethod
    def _origins(cls, given: str) -> str:
        _split_origins(given)
        return given

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("it is the address of a studio, like https://studio.example.com")
        if parts.username is not None or parts.password is not None:
            raise ValueError("no key belongs into an address; use ATELIER_KEY")
        return url.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say where values come from, the first wins."""
        return init_settings, env_settings, _File(settings_cls, toml_file=files())

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine reaches the API."""
        return _is_loopback(self.host)

    @property
    def webhook_origins(self) -> frozenset[Origin]:
        """The origins in private networks that webhooks may name."""
        return _split_origins(self.webhooks_private)

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.home / "logs"

    @property
    def made(self) -> Path:
        """The folder where `atelier make` puts files for people, by name."""
        return self.home / "made"

    @property
    def language_model(self) -> str:
        """What `llm` means: a base URL alone says that an OpenAI-compatible server is wanted."""
        return "openai" if self.llm == "local" and self.llm_base_url else self.llm

    def environment(self) -> dict[str, str]:
        """Give the variables that make a child process read exactly these settings."""
        given: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                plain = value.get_secret_value() if isinstance(value, SecretStr) else value
                given[PREFIX + name.upper()] = _as_text(plain)
        return given


def _as_text(value: Any) -> str:
    """Write a value as a variable that is read as the same value again; secrets of solutions are names only."""
    if isinstance(value, dict):
        return json.dumps({name: one.model_dump(mode="json") for name, one in value.items()})
    return str(value)


def files() -> list[Path]:
    """Give the settings files that are read, the last wins."""
    home = Path(os.environ.get(PREFIX + "HOME") or default_home()).expanduser()
    return [home / FILE, Path(FILE).absolute()]


def read_settings(**given: Any) -> Settings:
    """Read the settings; values given here win.

    Raises:
        SettingsError: a name is unknown or a value does not fit; the message names it and the nearest known name.
    """
    _refuse_unknown(os.environ)
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{FILE} is not valid TOML: {error}") from error


def _refuse_unknown(names: Iterable[str]) -> None:
    for name in names:
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX):
            field = name.removeprefix(PREFIX).lower()
            if field not in Settings.model_fields:
                raise SettingsError(f"{name} is no setting{_nearest(field, PREFIX)} The README lists them all.")


def _lines(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_input=False):
        field = str(problem["loc"][0]) if problem["loc"] else "settings"
        if problem["type"] == "default_factory_not_called":  # follows from another line
            continue
        if problem["type"] == "extra_forbidden":
            yield f"{field!r} in {FILE} is no setting{_nearest(field, '')}"
        else:
            yield f"{field}: {problem['msg'].removeprefix('Value error, ')} (set by {PREFIX}{field.upper()} or {FILE})"


def _nearest(field: str, prefix: str) -> str:
    near = difflib.get_close_matches(field.lower(), Settings.model_fields, n=1)
    if not near:
        return "."
    return f"; did you mean {prefix + near[0].upper() if prefix else repr(near[0])}?"


def _split_origins(text: str) -> frozenset[Origin]:
    from tools.addresses import Origin

    return frozenset(Origin.of(url.strip()) for url in text.split(",") if url.strip())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
