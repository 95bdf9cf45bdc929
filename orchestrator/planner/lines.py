"""The local model's way of writing: short names for assets, plans in lines, and the grammar of what may be said now."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.planner import lines
from models.planner.grammar import grammar
from models.planner.prompt import prompt_of
from models.planner.signatures import Signature
from orchestrator.planner.plan import AssetLine, Plan

SHOWN = 8  # the thread's last assets that the model sees
CAPTION = 80  # characters
ASSET_ID = re.compile(r"@?(asset_[0-9A-HJKMNP-TV-Z]{26})")
_ALIAS = re.compile(r"^@a(\d+)$")


def one_line(text: str, limit: int = CAPTION) -> str:
    """Make a caption safe to stand in a line: no breaks, no marks of the chat format, a limited length."""
    return re.sub(r"[\s<>|]+", " ", text).strip()[:limit]


class Sheet:
    """What one request looks like to the local model: the request with its assets under short names.

    Attributes:
        text: what the model reads.
        assets: those with a name, "a1" first.
    """

    def __init__(
        self, request: str, context: Sequence[AssetLine], find: Callable[[str], AssetLine | None] = lambda _: None
    ) -> None:
        named = list(dict.fromkeys(ASSET_ID.findall(request)))
        known = {asset.id: asset for asset in context}
        asked = [asset for name in named if (asset := known.get(name) or find(name))]
        others = [asset for asset in context if asset.id not in named]
        self.assets = [*others[max(0, len(others) + len(asked) - SHOWN) :], *asked]
        self._alias = {asset.id: f"a{number}" for number, asset in enumerate(self.assets, 1)}
        said = ASSET_ID.sub(lambda match: f"@{self._alias.get(match[1], match[1])}", request)
        self.text = prompt_of(said.strip(), [f"{asset.kind} {one_line(asset.caption)}" for asset in self.assets])

    def grammar(self, tools: Mapping[str, Signature]) -> str:
        """Give the grammar of the plans that this request can have."""
        return grammar(tools, [(self._alias[asset.id], asset.kind) for asset in self.assets])

    def plan(self, answer: str, tools: Mapping[str, Signature]) -> Plan:
        """Read the model's answer, short names turned back into ids.

        Raises:
            models.planner.lines.NotLines: it is no plan.
        """
        written = lines.parse(answer, tools)
        for step in written["steps"]:
            signature = tools.get(step["tool"])
            for name, value in step["args"].items():
                argument = signature.argument(name) if signature else None
                if argument and argument.type in {"asset", "assets"}:
                    step["args"][name] = self._long(value)
        return Plan.model_validate(written)

    def _long(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._long(item) for item in value]
        if isinstance(value, str) and (match := _ALIAS.match(value)) and int(match[1]) <= len(self.assets):
            return f"@{self.assets[int(match[1]) - 1].id}"
        return value

    def lines(self, plan: Plan, tools: Mapping[str, Signature]) -> str:
        """Write a plan as the model would, ids turned into short names."""
        written = plan.model_dump()
        for step in written["steps"]:
            step["args"] = {name: self._short(value) for name, value in step["args"].items()}
        return lines.write(written, tools)

    def _short(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._short(item) for item in value]
        if isinstance(value, str) and value.startswith("@"):
            return f"@{self._alias.get(value[1:], value[1:])}"
        return value
