"""What people do to a plain request: politeness, asides, slips, casing."""

from __future__ import annotations

import random
import re

LEADS = (
    "hi, ", "hello! ", "hey, ", "please ", "ok so ", "um, ", "good morning, ", "hey atelier, ",
    "could you please do this: ",
    "quick one: ", "so, ", "alright, ", "hello there, i would like this: ", "my request: ", "todo: ",
    "next: ", "now ", "hi there! ", "dear studio, ", "yo ", "listen, ", "ok, new idea: ", "for my project: ",
)  # fmt: skip
TAILS = (
    " please", " thanks", " thank you!", ", thanks in advance", " asap", " :)", " 😊", " pls", " if possible",
    " ok?", "!", "...",
    " that's all", " cheers", ", no rush", ", please and thank you", " thx", "!!", ", it's urgent",
    ", as soon as you can", " 🙏",
)  # fmt: skip
FACTS = (
    "we are {x} guests, {y} of them vegetarian.", "my daughter turns {y} on friday.", "it is for a class of {x}.",
    "i have {y} cats at home.", "we open in {y} days.", "the last one had {x} mistakes.", "our office is on floor {y}.",
    "we sold {x} of them last year.", "there are {y} of us in the team.", "my deadline is in {x} minutes.",
    "i am {x} years old.", "this is for chapter {y}.", "i asked {y} times already.", "the budget is {x} euros.",
    "it's for the {y}th birthday of a friend.", "the room has {x} chairs.", "my son is in grade {y}.",
    "i've been here for {x} years.",
    "it's raining and i am bored.", "my boss wants it today.", "i am a teacher.", "my english is not so good, sorry.",
    "this is for our website.", "it is a surprise.", "i love this tool.", "the kids will be happy.", "nothing fancy.",
    "i don't need anything else.", "take your time.", "my phone has only {x} percent left.", "the party starts at {y}.",
    "it is for the {y} o'clock meeting.", "i saw something like it {x} years ago.", "we have {y} shops.",
)  # fmt: skip
THING_LEADS = (
    "can I get ",
    "i'd love ",
    "would you mind making ",
    "what about ",
    "how about ",
    "we need ",
    "it should be ",
)
NOT_ENGLISH_LEADS = {
    "de": ("hallo, ", "bitte ", "guten Tag, ", "hey, ", "also, "),
    "fr": ("bonjour, ", "salut, ", "alors, "),
    "es": ("hola, ", "buenas, ", "por favor, "),
    "it": ("ciao, ", "buongiorno, ", "per favore, "),
}


def _slip(text: str, rng: random.Random) -> str:
    """Swap, drop or double one letter inside a word; digits and quotes stay."""
    places = [i for i in range(1, len(text) - 2) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    kind = rng.random()
    if kind < 0.4:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :] if kind < 0.75 else text[: at + 1] + text[at:]


def _fact(rng: random.Random) -> str:
    return rng.choice(FACTS).format(
        x=rng.choice((2, 3, 6, 8, 9, 12, 14, 20, 25, 30, 40)), y=rng.choice((2, 3, 4, 5, 6, 7, 8))
    )


def disturb(request: str, rng: random.Random, *, language: str, plain: bool) -> str:
    """Say a request as a person would: with a lead, an aside, slips, other casing; a `plain` one keeps its words.

    Args:
        request: the words of the frame.
        rng: where chance comes from.
        language: asides are in English, leads in the request's language.
        plain: nothing is added around it.
    """
    if not plain and language == "en":
        if rng.random() < 0.22:
            thing = re.match(r"(an? |\d|two|three|four|five|six|seven|eight)", request) and rng.random() < 0.3
            request = rng.choice(THING_LEADS if thing else LEADS) + request
        if rng.random() < 0.22:
            request = request.rstrip("?.!") + rng.choice(TAILS)
        roll = rng.random()
        if roll < 0.12:
            request = f"{_fact(rng)} {request}"
        elif roll < 0.2:
            request = f"{request}. {_fact(rng)}"
    elif not plain and rng.random() < 0.2:
        request = rng.choice(NOT_ENGLISH_LEADS[language]) + request
    if rng.random() < 0.15:
        for _ in range(rng.choice((1, 1, 2))):
            request = _slip(request, rng)
    return _case(request, rng)


def _case(request: str, rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.3:
        request = request[0].upper() + request[1:]
        return request if request[-1] in ".?!" or rng.random() < 0.4 else request + "."
    if roll < 0.42:
        return request.lower()
    return request.upper() if roll < 0.45 else request
