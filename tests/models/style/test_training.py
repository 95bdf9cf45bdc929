"""A look is learned from few pictures, and stopping changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models.registry import CheckpointError
from models.style import bare, material, pictures, weights
from models.style.pictures import Pictures
from models.style.train import SAVE_S, smoke
from models.style.training import LOOK_STEPS, Plan, Training, arrays
from models.vae.sample import Vae
from models.vae.train import to_tensor


def test_the_smoke_run_lowers_the_loss(out: Path) -> None:
    first, last = smoke(out, steps=40)
    assert last < 0.8 * first


@pytest.mark.parametrize("stopped_at", [5, 10])
def test_a_run_that_was_stopped_ends_with_the_same_bytes(
    vae: Vae, given: Pictures, tmp_path: Path, stopped_at: int
) -> None:
    """In the midst of the learning, and of the sharpening, which are the last three of twelve steps."""
    plan = Plan(steps=12, batch=2)
    whole = Training(plan, tmp_path / "whole", vae, given)
    whole.run()
    half = Training(plan, tmp_path / "parts", vae, given)
    for _ in range(stopped_at):
        half.advance()
        half.look()
    half.save()
    rest = Training(plan, tmp_path / "parts", vae, given)
    assert rest.step == stopped_at
    assert (rest.sharpener is not None) == (stopped_at == 10)
    rest.run()
    assert rest.ended == "all steps done"
    one, other = (weights.write(arrays(t, given), t.config, "x", "y") for t in (whole, rest))
    assert one == other


def test_it_ends_when_the_held_out_pictures_get_no_better(vae: Vae, given: Pictures, out: Path) -> None:
    training = Training(Plan(steps=40, batch=2), out, vae, given)
    training.looks_since_best = 6
    training.run()
    assert training.step == 1 + 10  # one step to see it, a quarter to sharpen
    assert training.ended == f"no better for {6 * LOOK_STEPS} steps"


def test_sharpened_nets_that_draw_worse_are_not_kept(vae: Vae, given: Pictures, out: Path) -> None:
    training = Training(Plan(steps=8, batch=2), out, vae, given)
    for _ in range(6):
        training.advance()
        training.look()
    before = training.best
    assert training.sharpener is not None
    with torch.no_grad():
        training.mean_net.decoder.net[0].weight.zero_()
    training._conclude()
    assert training.best == before
    assert training.best_net.decoder.net[0].weight.abs().sum() > 0


def test_it_ends_when_the_time_is_up(vae: Vae, given: Pictures, out: Path) -> None:
    training = Training(Plan(steps=10**6, batch=2, minutes=0.5 / 60), out, vae, given)
    began = time.monotonic()
    training.run()
    assert time.monotonic() - began < 5
    assert training.ended == "the time is up"


def test_a_broken_checkpoint_says_what_to_do(vae: Vae, given: Pictures, out: Path) -> None:
    out.mkdir()
    (out / "checkpoint.safetensors").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="delete it"):
        Training(Plan(steps=1), out, vae, given)


def test_where_things_stand_is_seen(given: Pictures) -> None:
    inside = material.inside_of(given.rgb)
    assert inside[32, 20]
    assert not inside[2, 2]
    assert material.inset_of(inside) < 1
    assert material.smaller(given.rgb, 0.5).shape == given.rgb.shape


def test_pictures_laid_bare_lose_ground_lines_and_colours_and_keep_the_thing(given: Pictures) -> None:
    x = to_tensor(given.rgb).contiguous()
    inside = torch.from_numpy(material.inside_of(given.rgb))
    found = bare.lay_bare(x, inside, torch.linspace(0, 0.8, 64)[:, None].expand(-1, 3))
    ground = len(found.ranks)
    assert (found.areas[0, :, 2, 2] == ground).all()
    assert (found.areas[0, :, 32, 32] != ground).all()
    lines = found.areas[0] == found.areas[0, 0, 32, 32 - 1]
    assert lines.any()
    real, plain = bare.pairs(found, torch.arange(len(x)), torch.Generator().manual_seed(0))
    assert real.shape == plain.shape == x.shape
    assert torch.allclose(plain[:, :, 2, 2], torch.ones(len(x), 3))
    assert (plain[:, :, 32, 32].mean(1) < 0.95).all()


def test_too_few_pictures_are_refused(given: Pictures) -> None:
    with pytest.raises(ValueError, match="at least 12 pictures, got 5"):
        pictures.pictures(given.rgb[:5], given.vectors[:5], given.captions[:5])


def test_the_pictures_survive_their_way_to_the_child(given: Pictures, tmp_path: Path) -> None:
    pictures.save(tmp_path / "p.npz", given.rgb, given.vectors, ["ü, ☂", *given.captions[1:]])
    again = pictures.load(tmp_path / "p.npz")
    assert again.captions[0] == "ü, ☂"
    assert np.array_equal(again.rgb, given.rgb)
    assert again.held_out.sum() >= 2


def test_reading_pictures_brings_no_torch() -> None:
    code = "import sys, models.style.pictures; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_tells_in_lines_and_leaves_a_look(given: Pictures, tmp_path: Path) -> None:
    """The whole way of a child, with its measures: about ten seconds of one core."""
    pictures.save(tmp_path / "p.npz", given.rgb, given.vectors, given.captions)
    command = [sys.executable, "-m", "models.style.train", "--data", str(tmp_path / "p.npz"), "--out", str(tmp_path)]
    done = subprocess.run([*command, "--steps", "12"], capture_output=True, text=True, check=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"progress", "step", "eta_s", "loss", "held_out"} <= set(said[0])
    assert said[0]["eta_s"] < SAVE_S
    card = said[-1]["done"]
    assert card["steps"] == 12
    assert set(card["in_look"]) == {"before", "after", "held_out"}
    assert Path(said[-1]["weights"]).stat().st_size == card["size_bytes"] < 4e6
    assert Path(said[-1]["sheet"]).exists()


def test_a_child_without_its_parent_does_not_begin(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.style.train", "--out", str(tmp_path), "--smoke", "--parent", "1"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())
