"""The data set: what is kept, and what edits do to a picture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from models.emoji import captions, edits, sources
from models.emoji.data import Emoji
from models.emoji.sources import Source, Thing


def disc(colour: tuple[int, int, int]) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[(y - 32) ** 2 + (x - 32) ** 2 < 400] = (*colour, 255)
    return picture


def test_a_red_disc_can_be_made_blue_and_black() -> None:
    by_word = {colour.word: colour for colour in edits.COLOURS}
    blue = edits.recolour(disc((220, 30, 40)), by_word["blue"])[32, 32]
    assert blue[2] > 150 > blue[0]
    assert edits.recolour(disc((220, 30, 40)), by_word["black"])[32, 32, :3].max() < 90
    assert edits.recolour(disc((220, 30, 40)), by_word["blue"])[0, 0, 3] == 0


def test_a_sign_is_laid_at_the_upper_right() -> None:
    found = edits.with_sign(disc((220, 30, 40)), disc((0, 0, 255)), edits.MOODS[0])
    assert found[13, 51, 2] == 255
    assert found[39, 25, 0] > 200


def test_flags_letters_and_gendered_twins_are_left_out() -> None:
    rows = [
        {"hexcode": "1F9D1-200D-1F692", "label": "firefighter", "group": 1, "subgroup": 25},
        {"hexcode": "1F468-200D-1F692", "label": "man firefighter", "group": 1, "subgroup": 25},
        {"hexcode": "1F3C3-200D-2640-FE0F", "label": "woman running", "group": 1, "subgroup": 27},
        {"hexcode": "1F1E6", "label": "letter", "group": 8, "subgroup": 95},
        {"hexcode": "1F431", "label": "cat face", "tags": ["cat"], "group": 3, "subgroup": 34},
    ]
    assert [thing.name for thing in sources.things(rows)] == ["firefighter", "cat face"]


def test_an_archive_with_another_hash_is_refused(tmp_path: Path) -> None:
    source = Source("noto", "@iconify-json/noto", "1.0.0", hashlib.sha256(b"right").hexdigest(), "MIT")
    (tmp_path / source.file).write_bytes(b"wrong")
    with pytest.raises(ValueError, match="fetch it again"):
        sources.archive(source, tmp_path)
    (tmp_path / source.file).write_bytes(b"right")
    assert sources.archive(source, tmp_path).exists()


def test_captions_name_the_edit_of_their_picture() -> None:
    things = [
        Thing("1f697", "automobile", ("car",), "places", 54),
        *(Thing(mood.sign, mood.word, (), "objects", 0) for mood in edits.MOODS),
    ]
    rgba = np.stack([disc((220, 30, 40)) for _ in things])
    emoji = Emoji(rgba, np.arange(len(things)), np.zeros(len(things), np.int64), things, np.zeros(len(things), bool))
    pool = captions.build(emoji, np.random.default_rng(0))
    words = [pool.texts.words[row] for row in pool.caption]
    assert len(pool.pictures) == len(words) == len(pool.source) == len(pool.change)
    coloured = [w for w in words if any(w.startswith(c.word) for c in edits.COLOURS)]
    assert coloured
    assert all(not pool.texts.plain[row] for row, w in zip(pool.caption, words, strict=True) if w in coloured)
