"""What a worker is told to do, and what it says when that cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models import registry
from orchestrator.errors import SettingsError
from orchestrator.post import names, post
from orchestrator.settings import Settings

SETTINGS = Settings(planner_slots=3, image_slots=2, solution_slots=4)


def test_a_name_of_one_machine_says_the_rest() -> None:
    planner, solution = post(SETTINGS, name="planner"), post(SETTINGS, name="solution")
    assert planner.queues == ("planner", "vector")
    assert (planner.slots, planner.plans, planner.holds_nets) == (3, True, True)
    assert solution.queues == ("solution", "training")
    assert (solution.slots, solution.minds_solutions, solution.holds_nets) == (4, True, False)


def test_queues_nets_and_slots_are_taken_as_they_are_said() -> None:
    one = post(SETTINGS, name="gpu-1", queues=names("image, planner"), models=names("cgan"), slots=7)
    assert (one.name, one.queues, one.slots) == ("gpu-1", ("image", "planner", "vector"), 7)
    assert one.families == {"cgan", "vae", "upscaler"}  # what draws needs what decodes and what enlarges
    assert post(SETTINGS, queues=["image", "training"]).name == "image-training"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "--queues QUEUE,… or --name NAME"),
        ({"name": "gpu-1"}, "the names planner, image, solution"),
        ({"queues": ["imgae"]}, "no queue 'imgae'; there are planner, vector, image"),
        ({"queues": ["image"], "models": ["wavenet"]}, "unknown model 'wavenet'; there are vae, cgan"),
        ({"queues": ["image"], "models": ["upscaler"]}, "no tool of 'image' can run: generate_image needs cgan, vae"),
    ],
)
def test_what_cannot_be_is_said_with_what_can(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says.replace("(", r"\(")):
        post(SETTINGS, **given)


def test_the_command_says_so_in_a_line(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ATELIER_HOME": str(tmp_path)}
    command = [Path(sys.executable).with_name("atelier"), "worker", "--queues", "imgae"]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert said.returncode == 1
    assert said.stderr.startswith("atelier: there is no queue 'imgae'")
    assert "Traceback" not in said.stderr


class TestDevice:
    def test_a_gpu_that_is_wanted_and_not_there_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_has_card", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert registry.device("auto") == registry.device("cpu") == registry.processor()
        with pytest.raises(ValueError, match="finds no GPU"):
            registry.device("cuda")

    def test_auto_takes_a_gpu_that_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "_has_card", lambda: True)
        card = SimpleNamespace(name="Card 9000", total_memory=8 << 30)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
        assert registry.device("auto") == {"kind": "cuda", "name": "Card 9000", "memory_bytes": 8 << 30}
        assert registry.device("cpu")["kind"] == "cpu"
        assert registry.processor()["memory_bytes"] > 1 << 20
