"""`atelier styles`: what is wrong with a folder is said in a line, and a look is learned, used and removed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from orchestrator.cli import style_pictures
from orchestrator.errors import BadRequest
from tests.orchestrator.conftest import ATELIER, House


def folder(path: Path, count: int = 14, side: int = 96) -> Path:
    """Draw balls with a thick line on light blue, with a table of captions."""
    path.mkdir()
    lines = ["file,caption"]
    for number in range(count):
        page = Image.new("RGB", (side, side), (200, 220, 240))
        across = side // 2 - 6 + number % 12
        box = (across - 24, side // 2 - 24, across + 24, side // 2 + 24)
        draw = ImageDraw.Draw(page)
        (draw.ellipse if number % 2 else draw.rectangle)(box, (230, 40 + 12 * number, 40), (20, 30, 60), 5)
        page.save(path / f"{number}.png")
        lines.append(f"{number}.png,ball number {number}")
    (path / "captions.csv").write_text("\n".join(lines) + "\n")
    return path


def test_captions_are_read_from_csv_and_from_lines_of_json(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    found = style_pictures.read(images, images / "captions.csv")
    rows = [{"file": one.path.name, "caption": one.caption} for one in found]
    assert rows[1] == {"file": "1.png", "caption": "ball number 1"}
    (images / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert style_pictures.read(images, images / "captions.jsonl") == found


def few(images: Path) -> None:
    (images / "captions.csv").write_text("file,caption\n0.png,a ball\n")


def gone(images: Path) -> None:
    (images / "3.png").unlink()


def broken(images: Path) -> None:
    (images / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")


def tiny(images: Path) -> None:
    Image.new("RGB", (20, 90)).save(images / "3.png")


def nameless(images: Path) -> None:
    (images / "captions.csv").write_text("picture,words\n0.png,a ball\n")


def wordless(images: Path) -> None:
    (images / "captions.csv").write_text("file,caption\n0.png,a ball\n1.png,\n")


def absent(images: Path) -> None:
    (images / "captions.csv").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (few, "names 1 pictures; a style needs 12 to"),
        (gone, "line 5 of .*3.png.*No such file"),
        (broken, "3.png is broken"),
        (tiny, "3.png has 20 × 90 pixels; a style needs 32"),
        (nameless, "needs the columns file and caption"),
        (wordless, "line 3 of .* needs a file and a caption"),
        (absent, "captions.csv' cannot be read"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    images = folder(tmp_path / "in")
    spoil(images)
    with pytest.raises(BadRequest, match=said):
        style_pictures.read(images, images / "captions.csv")


def test_a_faulty_line_of_json_is_named(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    for text, said in (("nonsense", "line 1 of .* is not JSON"), ("[1]", "must be an object")):
        (images / "captions.jsonl").write_text(text)
        with pytest.raises(BadRequest, match=said):
            style_pictures.read(images, images / "captions.jsonl")


def test_a_faulty_name_is_one_line(shared: House, tmp_path: Path) -> None:
    done = shared.atelier("styles", "train", "Acme!", "--images", ".", "--captions", "x.csv", check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("small letters, digits and dashes, a letter first")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_look_is_learned_used_and_removed(shared: House, tmp_path: Path, api: httpx.Client) -> None:
    """A real training of six seconds, and its measures: about twenty seconds of one core."""
    images = folder(tmp_path / "in")
    options = ("--images", str(images), "--captions", str(images / "captions.csv"), "--minutes", "0.1")
    told = shared.atelier("styles", "train", "acme", *options).stdout
    assert "Learned the look 'acme' from 14 pictures" in told
    sheet = Path(next(line for line in told.splitlines() if line.startswith("Sample sheet: "))[14:])
    with Image.open(sheet) as picture:
        assert picture.size == (768, 512)
    assert len(api.get("/v1/assets", params={"tag": "style:acme"}).json()["data"]) == 15

    plan = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "a rocket", "style": "acme"}}]}
    made = shared.json("run", "-", input=json.dumps(plan))
    with Image.open(made["assets"][0]["path"]) as picture:
        red, _, blue = np.asarray(picture.convert("RGB"))[:9, :9].reshape(-1, 3).mean(0)
    assert blue > red + 10  # the ground is light blue, where a shipped style has white
    assert shared.json("verify", made["assets"][0]["id"])["verified"]

    assert [row["name"] for row in shared.json("styles", "list")] == ["acme"]
    assert "acme" in shared.atelier("styles", "list").stdout
    assert "in_look" in shared.atelier("styles", "show", "acme").stdout
    shared.atelier("styles", "remove", "acme")
    unknown = shared.atelier("styles", "show", "acme", check=False)
    assert unknown.returncode == 1
    assert "there is no style 'acme'" in unknown.stderr
    refused = shared.atelier("run", "-", input=json.dumps(plan), check=False)
    assert refused.returncode == 1
    assert "emojione" in refused.stderr


def test_ctrl_c_cancels_a_training(shared: House, tmp_path: Path, api: httpx.Client) -> None:
    images = folder(tmp_path / "in")
    before = {run["id"] for run in api.get("/v1/runs").json()["data"]}
    process = subprocess.Popen(
        [ATELIER, "styles", "train", "late", "--images", images, "--captions", images / "captions.csv"],
        env=shared.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (new := {run["id"] for run in api.get("/v1/runs").json()["data"]} - before):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (run_id,) = new
    while api.get(f"/v1/runs/{run_id}").json()["status"] != "in_progress":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Cancelling" in said
    assert api.get(f"/v1/runs/{run_id}").json()["status"] == "cancelled"
    assert api.get("/v1/styles/late").status_code == 404


def test_where_the_pictures_are_can_stand_in_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.cli import styles
    from orchestrator.errors import BadRequest
    from orchestrator.settings import read_settings

    table = '[solutions.acme]\nkind = "style"\nimages = "pictures"\ncaptions = "pictures/captions.csv"\n'
    (tmp_path / "atelier.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    given = read_settings()
    here = tmp_path / "pictures"
    assert styles._declared(given, "acme", None, None) == (here, here / "captions.csv")
    assert styles._declared(given, "acme", Path("else"), None) == (Path("else"), here / "captions.csv")
    with pytest.raises(BadRequest, match="say where the pictures of 'zenith' are"):
        styles._declared(given, "zenith", None, None)
