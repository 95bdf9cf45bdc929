"""How a run is shown while it happens."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli import follow


def test_a_failed_step_is_marked_and_those_after_it_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [{"id": "s1", "tool": "shop.find", "args": {}}, {"id": "s2", "tool": "write_text", "args": {}}]
    events: list[dict[str, Any]] = [
        {"type": "plan.created", "plan": {"steps": steps}},
        {"type": "step.started", "step": "s1"},
        {"type": "step.failed", "step": "s1", "error": {"message": "it is on fire"}},
        {"type": "run.failed"},
    ]
    with follow.bars() as view:
        for event in events:
            view.event(event)
    shown = capsys.readouterr().out
    assert "s1 failed: it is on fire" in shown
    assert "✗ s1 shop.find" in shown
    assert "– s2 write_text" in shown
