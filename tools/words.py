"""Captions and tags from what was said."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORD = re.compile(r"[^\W\d_][\w'-]+")
TAGS = 12  # words of a prompt that become tags
CAPTION_WORDS = 14
CAPTION_CHARACTERS = 300  # a word of others can have millions
# Words that say nothing about what is seen.
_PLAIN = """
a an and are as at be but by can for from has have he her his i in into is it its like me my of on one or our please
she so some that the their them then there these they this those to two three four five us very was we were what when
where which while who with without you your picture pictures image images sticker stickers icon icons drawing draw make
made show
"""
PLAIN = frozenset(_PLAIN.split())


def tags(text: str, *more: str | None) -> tuple[str, ...]:
    """Give the telling words of a text, then `more`, each once, in lower case."""
    words = [word.lower() for word in WORD.findall(text)]
    telling = [word for word in words if word not in PLAIN and len(word) > 1]
    return tuple(dict.fromkeys([*unique(telling)[:TAGS], *(word.lower() for word in more if word)]))


def unique(words: Iterable[str]) -> list[str]:
    """Give words in order, each once."""
    return list(dict.fromkeys(words))


def first_words(text: str) -> str:
    """Give the first words of a text on one line, as its caption."""
    words = re.sub(r"[#*_`>]+", " ", text).split()
    caption = " ".join(words[:CAPTION_WORDS])
    is_cut = len(words) > CAPTION_WORDS or len(caption) > CAPTION_CHARACTERS
    return caption[:CAPTION_CHARACTERS] + ("…" if is_cut else "")
