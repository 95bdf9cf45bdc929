"""What a plan can call."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.api.context import Here, Owner
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.house import ToolShape
from orchestrator.errors import NotFound
from orchestrator.listing import tool_view

router = APIRouter(prefix="/v1/tools", tags=["tools"])


@router.get("", response_model=Page[ToolShape])
def list_tools(here: Here, owner: Owner) -> dict[str, Any]:
    """List the tools with the schemas of their arguments."""
    return {"data": [tool_view(spec) for spec in here.tools(owner).values()], "has_more": False, "next": None}


@router.get("/{name}", response_model=ToolShape)
def get_tool(name: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a tool by name."""
    tools = here.tools(owner)
    spec = tools.get(name)
    if spec is None:
        raise NotFound(f"there is no tool {name!r}; there are {', '.join(sorted(tools))}", param="name")
    return tool_view(spec)
