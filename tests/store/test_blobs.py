"""What a user of the blob store relies on, in a folder and in another fsspec filesystem."""

import hashlib
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from store import folder as module
from store.blobs import BlobCorrupt, BlobMissing, Blobs
from store.remote import Remote


@pytest.fixture(params=["folder", "file-url", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "s3":
        return Blobs(request.getfixturevalue("s3_url"))
    urls = {
        "folder": str(tmp_path / "blobs"),
        "file-url": f"file://{tmp_path}/blobs",
        "memory": f"memory://{uuid.uuid4().hex}",
    }
    return Blobs(urls[request.param])


def test_what_is_put_is_given_back(blobs: Blobs) -> None:
    name = blobs.put(b"a cat")
    assert name == hashlib.sha256(b"a cat").hexdigest()
    assert blobs.get(name) == b"a cat"
    assert blobs.has(name)
    with blobs.open(name) as stream:
        stream.seek(2)
        assert stream.read() == b"cat"


def test_a_part_is_read_alone(blobs: Blobs) -> None:
    name = blobs.put(b"0123456789")
    assert b"".join(blobs.chunks(name, 3, 4)) == b"3456"
    assert blobs.size(name) == 10
    with pytest.raises(BlobMissing, match="no blob"):
        next(blobs.chunks("0" * 64, 0, 1))
    with pytest.raises(BlobMissing, match="no blob"):
        blobs.size("0" * 64)


def test_what_is_there_can_be_listed(blobs: Blobs) -> None:
    names = {blobs.put(str(number).encode()) for number in range(40)}
    found = [stored for number in range(256) for stored in blobs.names(f"{number:02x}")]
    assert {stored.sha256 for stored in found} == names
    assert len(found) == 40
    assert all(abs(stored.modified_at - time.time()) < 60 for stored in found)
    blobs.check()


def test_a_listing_shows_blobs_alone(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"a cat")
    for stray in ("README", ".part-1-1-1"):
        (tmp_path / name[:2] / stray).write_bytes(b"")
    assert [stored.sha256 for stored in blobs.names(name[:2])] == [name]


def test_what_another_wrote_is_seen_at_once(blobs: Blobs) -> None:
    name, other = hashlib.sha256(b"theirs").hexdigest(), Blobs(blobs.url)
    assert not blobs.has(name)
    assert list(blobs.names(name[:2])) == []
    other.put(b"theirs")
    assert blobs.has(name)
    assert [stored.sha256 for stored in blobs.names(name[:2])] == [name]
    other.remove(name)
    assert not blobs.has(name)


def test_many_are_put_in_order_and_twice_is_once(blobs: Blobs) -> None:
    contents = [b"one", b"two", b"one", b""]
    names = blobs.put_many(contents)
    assert [blobs.get(name) for name in names] == contents
    assert blobs.put_many(contents) == names
    assert blobs.put_many([]) == []


def test_what_is_removed_is_gone_and_may_be_removed_again(blobs: Blobs) -> None:
    name = blobs.put(b"an old checkpoint")
    blobs.remove(name)
    assert not blobs.has(name)
    blobs.remove(name)


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "A" * 64, ""])
def test_an_unknown_name_is_missing(blobs: Blobs, name: str) -> None:
    with pytest.raises(BlobMissing, match=r"sha256|no blob"):
        blobs.get(name)


def test_the_same_content_is_not_written_twice(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    path = blobs.path(blobs.put(b"once"))
    assert path is not None
    before = path.stat()
    blobs.put(b"once")
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_bytes_that_changed_on_disk_are_not_given(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"sound")
    path = blobs.path(name)
    assert path is not None
    path.write_bytes(b"rotten")
    with pytest.raises(BlobCorrupt, match=name):
        blobs.get(name)


def test_a_truncated_file_is_repaired_by_the_next_put(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    path = blobs.path(blobs.put(b"whole"))
    assert path is not None
    path.write_bytes(b"wh")
    assert blobs.get(blobs.put(b"whole")) == b"whole"


def test_where_a_blob_lies(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"here")
    assert blobs.path(name) == tmp_path / name[:2] / name[2:]
    assert blobs.path("1" * 64) is None
    assert Blobs("memory://elsewhere").path(name) is None


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            blobs.put_many([b"one", b"two"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_old_temporary_files_are_swept(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"kept")
    old, young = tmp_path / "ab" / ".part-1-1-1", tmp_path / "ab" / ".part-1-1-2"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    assert blobs.sweep_temporary() == 1
    assert not old.exists()
    assert young.exists()
    assert blobs.get(name) == b"kept"


def test_a_writer_killed_in_the_middle_leaves_no_broken_blob(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from store.blobs import Blobs; from store import folder as module\n"
        "blobs = Blobs(sys.argv[1])\n"
        "module.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "blobs.put(b'x' * 100_000)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    blobs = Blobs(tmp_path)
    assert not blobs.has(hashlib.sha256(b"x" * 100_000).hexdigest())
    assert blobs.sweep_temporary(older_than_s=-1) == 1
    assert blobs.get(blobs.put(b"x" * 100_000)) == b"x" * 100_000


def test_writers_in_two_threads_agree(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    blobs = Blobs(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: blobs.put(b"same"), range(64)))
    assert set(names) == {hashlib.sha256(b"same").hexdigest()}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [names[0][2:]]


def test_where_uploads_are_not_whole_they_are_moved_into_place(tmp_path: Path) -> None:
    remote = Remote(f"file://{tmp_path}/remote", {})
    assert not remote.uploads_whole
    name = hashlib.sha256(b"far").hexdigest()
    remote.write({name: b"far"})
    remote.write({name: b"far"})
    with remote.open(name) as stream:
        assert stream.read() == b"far"
    left = tmp_path / "remote" / "ab" / f".part-1-{time.time_ns() - 10**12}-1"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"")
    assert remote.sweep(time.time() - 500) == 1
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
