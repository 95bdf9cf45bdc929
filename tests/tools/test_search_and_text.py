"""The two tools that need no picture models."""

from __future__ import annotations

from tests.tools.conftest import asset_id, drawn, given, job, workshop
from tools.base import Cancelled, Found, InvalidInput, Made, ToolFailed
from tools.search_assets import spec as search_spec
from tools.search_assets.run import run as search
from tools.words import first_words, tags
from tools.write_text import spec as write_spec
from tools.write_text.run import run as write


def test_search_asks_the_library() -> None:
    shop = workshop(found=[Found("asset_1", 0.9)])
    asked = job(search_spec.SPEC, shop, query="cat", kind="image", tags=["noto"], limit=3)
    assert search([asked, asked]) == [[Found("asset_1", 0.9)]] * 2
    assert shop.asked[0] == {"query": "cat", "like": None, "kind": "image", "tags": ("noto",), "limit": 3}
    (stopped,) = search([job(search_spec.SPEC, workshop(cancel_at=0), query="x")])
    assert isinstance(stopped, Cancelled)


def test_a_text_knows_what_it_is_about() -> None:
    cat, poem = drawn(1), given(2, "A poem – old.".encode(), kind="text", media_type="text/markdown")
    shop = workshop(
        cat,
        poem,
        writes=lambda _: "# The Cat\n\nIt *sleeps* in the sun and dreams of fish, mice, birds and long walks.\n\n",
    )
    args = {"prompt": "a poem about a cat", "about": [f"@{asset_id(1)}", f"@{asset_id(2)}"], "max_words": 50}
    (results,) = write([job(write_spec.SPEC, shop, **args)])
    assert isinstance(results, list)
    text = results[0]
    assert isinstance(text, Made)
    assert text.content.decode().startswith("# The Cat\n\nIt *sleeps*")
    assert text.content.endswith(b"walks.\n")
    assert text.caption == "The Cat It sleeps in the sun and dreams of fish, mice, birds and…"
    assert text.parents == (cat.asset_id, poem.asset_id)
    assert text.args["about"] == [f"sha256:{cat.sha256}", f"sha256:{poem.sha256}"]
    assert text.media_type == "text/markdown"
    assert shop.asked[0]["about"] == ["thing 1", "A poem – old."]
    assert shop.asked[0]["max_words"] == 50


def test_one_failed_text_fails_alone() -> None:
    shop = workshop(writes=lambda prompt: "" if prompt == "nothing" else "words")
    results = write(
        [
            job(write_spec.SPEC, shop, prompt="nothing"),
            job(write_spec.SPEC, shop, prompt="something"),
            job(write_spec.SPEC, shop, prompt="about", about=f"@{asset_id(9)}"),
        ]
    )
    assert [type(result) for result in results] == [ToolFailed, list, InvalidInput]


def test_words() -> None:
    assert tags("Three HAPPY cat stickers, and a café-style cat!", "Noto", None) == (
        "happy",
        "cat",
        "café-style",
        "noto",
    )
    assert tags("два кота") == ("два", "кота")
    assert tags("") == ()
    assert first_words("  one\n\n## two ") == "one two"
