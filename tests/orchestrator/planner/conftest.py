import json
from collections.abc import Callable

import pytest

from models.language.scripted import Line, ScriptedChatModel
from orchestrator.planner.graph import Planner
from orchestrator.planner.plan import AssetLine
from tools.catalog import specs

CAT = AssetLine("asset_01JAAAAAAAAAAAAAAAAAAAAAA1", "image", "happy cat")
CLIP = AssetLine("asset_01JAAAAAAAAAAAAAAAAAAAAAA2", "video", "happy cat")
SONG = AssetLine("asset_01JAAAAAAAAAAAAAAAAAAAAAA3", "audio", "rain")
DEMO = "three happy cat stickers, and a 3 second video that morphs between them"
DEMO_PLAN = {
    "steps": [
        {"id": "s1", "tool": "generate_image", "args": {"prompt": "happy cat", "count": 3}},
        {"id": "s2", "tool": "make_video", "args": {"images": ["$s1"], "motion": "morph", "seconds": 3}},
    ],
    "reply": "Three happy cats and a 3 second morph.",
}

Scripted = Callable[..., Planner]


@pytest.fixture
def scripted() -> Scripted:
    """Give a planner whose model says one reply after the other."""

    def make(*replies: str | dict[str, object], dialect: str = "json") -> Planner:
        texts = [reply if isinstance(reply, str) else json.dumps(reply) for reply in replies]
        return Planner(ScriptedChatModel(lines=[Line(reply=list(texts))]), specs(), dialect=dialect)

    return make
