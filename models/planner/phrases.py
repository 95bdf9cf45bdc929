"""Things with their looks, in English and four other languages: the words that fill the slots of a frame."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WORDS = Path(__file__).with_name("words.json")
IRREGULAR = {
    "mouse": "mice", "goose": "geese", "fish": "fish", "sheep": "sheep", "deer": "deer", "man": "men", "woman": "women",
    "person": "people", "child": "children", "foot": "feet", "tooth": "teeth", "bison": "bison", "moose": "moose",
    "wolf": "wolves", "leaf": "leaves", "knife": "knives", "shelf": "shelves", "elf": "elves", "scarf": "scarves",
    "dwarf": "dwarves", "loaf": "loaves", "cactus": "cacti", "ox": "oxen", "salmon": "salmon", "squid": "squid",
    "dice": "dice", "potato": "potatoes", "tomato": "tomatoes", "hero": "heroes", "superhero": "superheroes",
}  # fmt: skip
COUNTS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
    "de": "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
    "es": "cero un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis",
    "it": "zero un due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici",
}


@dataclass(frozen=True)
class Phrase:
    """A thing in words.

    Attributes:
        prompt: English, singular, no count: what the plan says.
        one: with the indefinite article, in the request's language.
        many: the plural without a count, in the request's language.
        bare: the singular without an article, in the request's language.
    """

    prompt: str
    one: str
    many: str
    bare: str


@cache
def words() -> dict[str, Any]:
    """Read the word lists."""
    lists: dict[str, Any] = json.loads(WORDS.read_text())
    return lists


def plural(noun: str) -> str:
    """Give the English plural of a noun phrase whose head comes last."""
    head, _, last = noun.rpartition(" ")
    lead = f"{head} " if head else ""
    if last in IRREGULAR:
        return lead + IRREGULAR[last]
    for ending in ("man", "woman"):
        if last.endswith(ending) and len(last) > len(ending):
            return lead + last[: -len(ending)] + IRREGULAR[ending]
    if last.endswith("s") and not last.endswith(("ss", "us")):
        return noun
    if last.endswith(("ss", "us", "x", "z", "ch", "sh")):
        return noun + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def article(noun: str) -> str:
    """Put "a" or "an" before an English noun phrase."""
    if plural(noun) == noun and noun.endswith("s"):
        return noun
    hard = noun.startswith(("uni", "eur", "one", "use", "ukulele", "ufo"))
    return f"an {noun}" if noun[0] in "aeio" or (noun[0] == "u" and not hard) else f"a {noun}"


def english(rng: random.Random, shape: str) -> Phrase:
    """Draw an English phrase.

    Args:
        rng: where chance comes from.
        shape: "thing" for a noun alone, "phrase" for a noun that mostly has a look or an end.
    """
    lists = words()
    thing = rng.choice(lists["things"])
    roll = rng.random() if shape == "phrase" else 0.99
    lead, end = "", ""
    if roll < 0.62:
        lead = rng.choice(lists["looks"])
    elif roll < 0.70:
        lead = " ".join(rng.sample(lists["looks"], 2))
    elif roll < 0.80:
        end = rng.choice(lists["ends"])
    elif roll < 0.86:
        lead, end = rng.choice(lists["looks"]), rng.choice(lists["ends"])
    core = f"{lead} {thing}".strip()
    tail = f" {end}" if end else ""
    return Phrase(core + tail, article(core) + tail, plural(core) + tail, core + tail)


def german(rng: random.Random) -> Phrase:
    """Draw a German phrase, accusative, with its English prompt."""
    noun, gender, many, en = rng.choice(words()["de"]["things"])
    base = {"m": "einen", "f": "eine", "n": "ein"}[gender]
    if rng.random() < 0.25:
        return Phrase(en, f"{base} {noun}", many, noun)
    look, look_en = rng.choice(words()["de"]["looks"])
    ending = {"m": "en", "f": "e", "n": "es"}[gender]
    nominative = {"m": "er", "f": "e", "n": "es"}[gender]
    return Phrase(f"{look_en} {en}", f"{base} {look}{ending} {noun}", f"{look}e {many}", f"{look}{nominative} {noun}")


def romance(rng: random.Random, language: str) -> Phrase:
    """Draw a French, Spanish or Italian phrase, the look after the noun, with its English prompt."""
    noun, gender, many, en = rng.choice(words()[language]["things"])
    feminine = gender == "f"
    base = {"fr": ("un", "une"), "es": ("un", "una"), "it": ("un", "una")}[language][feminine]
    if rng.random() < 0.25:
        return Phrase(en, f"{base} {noun}", many, noun)
    looks = rng.choice(words()[language]["looks"])
    look, looks_many = looks[feminine], looks[2 + feminine]
    return Phrase(f"{looks[4]} {en}", f"{base} {noun} {look}", f"{many} {looks_many}", f"{noun} {look}")


def draw(rng: random.Random, language: str, shape: str) -> Phrase:
    """Draw a phrase of a language; `shape` is as in `english`."""
    if language == "en":
        return english(rng, shape)
    return german(rng) if language == "de" else romance(rng, language)


def count_word(number: int, language: str) -> str:
    """Say a small count in words, a larger one in digits."""
    names = COUNTS[language].split()
    return names[number] if number < len(names) else str(number)
