"""What people and clients are shown of tools and models; light, so the command line can ask without a studio."""

from __future__ import annotations

from typing import Any

from orchestrator.settings import Settings
from tools.base import ToolSpec


def tool_view(spec: ToolSpec) -> dict[str, Any]:
    """Give what is shown of a tool."""
    return {
        "id": spec.name,
        "description": spec.description,
        "args": spec.args.model_json_schema(),
        "gives": spec.gives,
        "exact": spec.exact,
        "batch": spec.batch,
        "version": spec.version,
        "examples": [{"say": example.say, "args": example.args} for example in spec.examples],
    }


def models(settings: Settings) -> list[dict[str, Any]]:
    """Give what is shown of each network: where it comes from, and what is wrong with its weights if anything is."""
    return []
