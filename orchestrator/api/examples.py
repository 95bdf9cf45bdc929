"""A body or more for each operation that takes JSON, as the description of the API shows them."""

from __future__ import annotations

from typing import Any

CATS = {"id": "s1", "tool": "generate_image", "args": {"prompt": "happy cat", "count": 3}}
MORPH = {"id": "s2", "tool": "make_video", "args": {"images": ["$s1"], "seconds": 3}}
ASSET = "asset_01K00000000000000000000000"

# By the name of the operation: what the example shows, and the body.
EXAMPLES: dict[str, dict[str, Any]] = {
    "create_run": {
        "in words": {"say": "three happy cat stickers, and a 3 second video that morphs between them"},
        "a plan that is ready": {"plan": {"steps": [CATS, MORPH], "reply": "Three cats and a morph."}},
        "looked at before it runs": {"say": "two blue birds", "needs_approval": True},
    },
    "create_plan": {"in words": {"say": "two blue birds"}},
    "approve_run": {"as it is": {}, "an edited plan": {"plan": {"steps": [CATS], "reply": "Three cats."}}},
    "cancel_run": {"all of it": {}, "one step": {"step": "s2"}},
    "retry_run": {"all that failed": {}, "one step": {"step": "s2"}},
    "create_thread": {"with a title": {"title": "Stickers for the shop"}},
    "create_thread_run": {"in words": {"say": "the same, but sleepy"}},
    "replace_asset_tags": {"two": {"tags": ["autumn", "stickers"]}},
    "search": {"by words": {"query": "smiling cat", "kind": "image"}, "newest with a tag": {"tags": ["autumn"]}},
    "create_collection": {"a name": {"name": "The coast"}},
    "change_collection": {"a name": {"name": "A shore"}},
    "export_assets": {"all with a tag": {"tags": ["autumn"]}, "these": {"ids": [ASSET]}},
    "create_chat_completion": {
        "a picture": {"model": "atelier", "messages": [{"role": "user", "content": "a happy cat sticker"}]},
    },
    "create_response": {"a picture, later": {"model": "atelier", "input": "a happy cat sticker", "background": True}},
    "create_image_generation": {
        "two, in a style": {"model": "atelier", "prompt": "happy cat", "n": 2, "size": "256x256", "style": "noto"},
    },
    "create_audio_speech": {"digits": {"model": "atelier", "input": "four zero seven", "voice": "george"}},
    "create_embedding": {"two texts": {"model": "atelier", "input": ["a happy cat", "a red car"]}},
    "create_solution": {
        "documents that are uploaded": {
            "name": "brand",
            "declaration": {"kind": "knowledge", "description": "How we write, and which colours we use."},
        },
    },
    "approve_solution": {"what was shown": {"digest": "0" * 64}},
    "create_style": {
        "twelve pictures": {"name": "acme", "pictures": [{"asset_id": ASSET, "caption": "a blue backpack"}] * 12},
    },
    "create_key": {
        "for a colleague": {"name": "Ada's laptop", "owner": "ada", "scopes": ["read", "make"]},
        "with limits": {"name": "the shop", "owner": "shop", "limits": {"runs_per_day": 100, "open_runs": 5}},
    },
    "change_key": {"fewer": {"limits": {"runs_per_day": 20}}, "none": {"limits": {}}},
    "create_webhook": {
        "what ends": {"url": "https://hooks.example.com/atelier", "events": ["run.completed", "run.failed"]}
    },
    "change_webhook": {"off": {"active": False}},
}
