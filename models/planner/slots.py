"""Fills the slots of a frame: one draw gives the request, the plan, and the assets of the thread alike."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

from models.planner.noise import FACTS
from models.planner.phrases import Phrase, article, count_word, draw, words

SLOT = re.compile(r"\{(\w+)(?:\.(a|s))?\}")
CHOICE = re.compile(r"\[([^\[\]]*)\]")
SMALL = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16)
SMALL_WEIGHTS = (16, 18, 14, 12, 9, 5, 6, 3, 5, 3, 1, 1)
SECONDS = (1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 45, 60, 2.5, 1.5, 4)
SECONDS_WEIGHTS = (2, 8, 14, 14, 10, 5, 8, 3, 12, 4, 6, 5, 4, 1, 1, 1, 1, 8)
FORMS = (
    "a haiku", "a poem", "a short poem", "a two line poem", "a four line poem", "a limerick", "a caption", "a title",
    "a funny caption", "a short story", "a bedtime story", "a fairy tale", "a product description", "a slogan",
    "an alt text",
    "a description", "a joke", "a birthday wish", "an instagram caption", "a riddle", "a tagline", "a fun fact",
    "a short text", "a product text", "a text for the shop",
    "a love poem", "a tiny story", "an ad", "a product name", "a rhyme", "a paragraph", "a sentence", "a greeting",
)  # fmt: skip
TOPICS = (
    "autumn", "the sea", "friendship", "my grandmother", "the first snow", "a rainy monday", "coffee", "our new bakery",
    "the moon", "growing old", "spring", "a lost key", "my dog Bruno", "the city at night", "homework",
    "a long journey",
    "kindness", "the smell of bread", "a lighthouse keeper", "waiting for the bus", "summer holidays",
    "a shy ghost", "time",
    "our school garden", "love", "the colour blue", "football", "a cat who hates water", "the last day of school",
    "trees",
    "handmade candles", "the stars", "missing someone", "monday mornings", "organic honey", "a brave little robot",
    "silence",
    "my new bike", "the mountains", "a wedding", "saving water", "our summer sale", "a dragon who bakes bread", "chess",
)  # fmt: skip
DOCS = (
    "a logline", "a headline", "a motto", "a fable", "a dialogue", "a letter", "a toast", "a speech", "an advert",
    "a blurb",
    "a monologue", "a lullaby text", "a fortune cookie line", "a postcard text", "a review", "a menu text", "a proverb",
)  # fmt: skip
LISTS: dict[str, tuple[str, ...]] = {
    "topic": TOPICS,
    "doc": DOCS,
    "style": ("noto", "twemoji", "fluent", "emojione"),
    "model": ("cgan", "vae"),
    "name": (
        "Anna",
        "my boss",
        "Tom",
        "Maria",
        "my mum",
        "Mr Lee",
        "Priya",
        "the client",
        "Lukas",
        "Chloé",
        "my sister",
        "Ahmed",
    ),
    "city": ("Paris", "Berlin", "Tokyo", "Rome", "Lisbon", "New York", "Oslo", "Madrid", "Vienna", "Cairo", "Lima"),
    "country": ("France", "Peru", "Japan", "Kenya", "Norway", "Brazil", "Italy", "Vietnam"),
    "day": ("Friday", "Monday", "next week", "Saturday evening", "Tuesday", "the weekend", "tomorrow"),
    "people": ("foreigners", "women", "disabled people", "my classmates", "immigrants", "gay people"),
    "tag": (
        "summer",
        "draft",
        "logo",
        "birthday",
        "shop",
        "work",
        "christmas",
        "favourite",
        "school",
        "demo",
        "old",
        "pets",
    ),
    "company": (
        "Nordlicht",
        "Pixelwerk",
        "Blue Fox",
        "Casa Verde",
        "Tiny Robot",
        "Sunday Club",
        "Kafka & Co",
        "Moss and Fern",
    ),
}


def _number(value: float) -> str:
    return f"{value:g}"


@dataclass
class Slots:
    """One drawing of all slots; a slot keeps its value once it was asked for.

    Attributes:
        rng: where chance comes from.
        language: of the request.
        values: what was drawn, by slot name.
    """

    rng: random.Random
    language: str
    values: dict[str, Any] = field(default_factory=dict)

    def _draw(self, name: str) -> Any:
        rng = self.rng
        if name in "PQR":
            return draw(rng, self.language, "phrase")
        if name in "TUV":
            return draw(rng, self.language, "thing")
        if name in "AB":
            return rng.choice(words()["looks"])
        if name in LISTS:
            return rng.choice(LISTS[name])
        if name == "style2":
            return rng.choice([style for style in LISTS["style"] if style != self.get("style")])
        if name == "form":
            return rng.choice(FORMS)
        if name in {"fact", "fact2"}:
            return rng.choice(FACTS).format(x=int(self.get("x")), y=int(self.get("y")))
        if name == "ord":
            return rng.choice(("first", "second", "third"))
        if name == "ordn":
            return str(1 + ("first", "second", "third").index(self.get("ord")))
        return self._draw_number(name)

    def _draw_number(self, name: str) -> float:
        rng = self.rng
        if name in "nmk":
            return rng.choices(SMALL, SMALL_WEIGHTS)[0]
        numbers: dict[str, float] = {
            "sec": rng.choices(SECONDS, SECONDS_WEIGHTS)[0],
            "fps": rng.choice((8, 10, 12, 15, 20, 25, 30, 48, 60)),
            "seed": rng.choice((rng.randrange(100), rng.randrange(10_000), rng.randrange(1_000_000))),
            "size": rng.choice((64, 128)),
            "lim": rng.choice((1, 2, 3, 4, 5, 6, 8, 12, 15, 20, 25, 30, 50, 100)),
            "w": rng.choice((5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 250, 300)),
            "st": rng.choice((0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)),
            "huge": rng.choice((100, 150, 200, 250, 500, 1000, 5000)),
            "long": rng.choice((2, 3, 5, 10, 20, 30, 90)),
            "x": rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 30, 40)),
            "y": rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 18, 25, 65)),
        }
        return numbers[name]

    def get(self, name: str) -> Any:
        """Give the value of a slot, drawn at the first call."""
        if name not in self.values:
            self.values[name] = self._draw(name)
        return self.values[name]

    def _say(self, match: re.Match[str]) -> str:
        value, form = self.get(match[1]), match[2]
        if isinstance(value, Phrase):
            return {"a": value.one, "s": value.many, None: value.bare}[form]
        if match[1] == "form":
            return str(value) if form else str(value).split(" ", 1)[1]
        if match[1] in "nmkxy" and self.rng.random() < 0.55:
            return count_word(int(value), self.language)
        if match[1] == "sec" and value == int(value) and self.rng.random() < 0.25:
            return count_word(int(value), self.language)
        return str(value) if isinstance(value, str) else _number(value)

    def say(self, text: str) -> str:
        """Fill a request: choices first, then slots in the request's language."""
        while found := CHOICE.search(text):
            text = text[: found.start()] + self.rng.choice(found[1].split("|")) + text[found.end() :]
        return re.sub(r"\s+", " ", SLOT.sub(self._say, text)).strip()

    def _plan(self, match: re.Match[str]) -> str:
        value, form = self.get(match[1]), match[2]
        if isinstance(value, Phrase):
            return article(value.prompt) if form == "a" else value.prompt
        if match[1] == "form" and not form:
            return str(value).split(" ", 1)[1]
        return str(value) if isinstance(value, str) else _number(value)

    def plan(self, text: str) -> str:
        """Fill a line of a plan: English prompts, numbers in digits."""
        return SLOT.sub(self._plan, text)
