"""What can be set, from where, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import SettingsError
from orchestrator.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests is read."""
    import os

    for name in os.environ:
        if name.startswith("ATELIER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_every_default_works_on_one_machine(tmp_path: Path) -> None:
    settings = read_settings()
    assert settings.database_url == f"sqlite:///{tmp_path}/home/atelier.db"
    assert settings.blobs_url == f"{tmp_path}/home/blobs"
    assert (settings.host, settings.port, settings.llm) == ("127.0.0.1", 8484, "local")
    assert settings.broker_url is None


def test_the_environment_wins_over_files_and_the_nearer_file_over_the_farther(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/atelier.toml").write_text("port = 1001\nlease_s = 30\nmax_attempts = 5\n")
    (tmp_path / "atelier.toml").write_text("port = 1002\nlease_s = 40\n")
    monkeypatch.setenv("ATELIER_PORT", "1003")
    settings = read_settings()
    assert (settings.port, settings.lease_s, settings.max_attempts) == (1003, 40, 5)
    assert read_settings(port=1004).port == 1004


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ATELIER_PROT", "1", "did you mean ATELIER_PORT"),
        ("ATELIER_PORT", "many", "ATELIER_PORT"),
        ("ATELIER_LEASE_S", "0", "greater than 0"),
        ("ATELIER_ADMIN_KEY", "tiny", "guessed"),
        ("ATELIER_KEY", "two words", "one word"),
        ("ATELIER_URL", "studio.example.com", "https://"),
        ("ATELIER_URL", "https://me:secret@studio.example.com", "ATELIER_KEY"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        read_settings()


@pytest.mark.parametrize("text", ["prot = 1", "port = [", "port = 'x'"])
def test_a_faulty_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "atelier.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"port|TOML"):
        read_settings()


def test_a_child_process_reads_exactly_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Settings(home=tmp_path / "x", port=7, llm="ollama:y", llm_api_key="k", chroma_host="127.0.0.1")
    for name, value in mine.environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == mine


def test_a_key_is_never_shown() -> None:
    assert "hush" not in repr(Settings(llm_api_key="hush"))


def test_a_base_url_alone_means_an_openai_server() -> None:
    assert Settings(llm_base_url="http://127.0.0.1:1/v1").language_model == "openai"
    assert Settings(llm_base_url="http://127.0.0.1:1/v1", llm="ollama:x").language_model == "ollama:x"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1
