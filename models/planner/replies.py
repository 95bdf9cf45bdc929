"""Says in a line what a plan makes."""

from __future__ import annotations

import re

from models.planner.phrases import Phrase, article, count_word
from models.planner.slots import Slots

VOWELS = ("8", "11", "18")
NOUNS = {
    "de": ("ein Bild", "{n} Bilder", "ein Video von {s} Sekunden", "ein Text", "eine Suche", " und "),
    "fr": ("une image", "{n} images", "une vidéo de {s} secondes", "un texte", "une recherche", " et "),
    "es": ("una imagen", "{n} imágenes", "un vídeo de {s} segundos", "un texto", "una búsqueda", " y "),
    "it": ("un'immagine", "{n} immagini", "un video di {s} secondi", "un testo", "una ricerca", " e "),
}


def _argument(step: str, name: str, default: str) -> str:
    found = re.search(rf'[(\s]{name}=("([^"]*)"|[\d.]+)', step)
    return (found[2] or found[1]) if found else default


def _english(step: str, many: dict[str, str]) -> str:
    tool = step.split("=", 1)[1].split("(", 1)[0]
    count = int(_argument(step, "count", "1"))
    if tool == "generate_image":
        prompt = _argument(step, "prompt", "")
        return article(prompt) if count == 1 else f"{count_word(count, 'en')} {many.get(prompt, prompt)}"
    if tool == "vary_image":
        prompt = _argument(step, "prompt", "")
        what = f" as {article(prompt)}" if prompt else ""
        return f"a new version{what}" if count == 1 else f"{count_word(count, 'en')} new versions{what}"
    if tool == "make_video":
        seconds = _argument(step, "seconds", "4")
        return f"{'an' if seconds in VOWELS else 'a'} {seconds} second {_argument(step, 'motion', 'morph')}"
    if tool == "write_text":
        return _argument(step, "prompt", "a text")
    return f"what I find for {_argument(step, 'query', 'that')}"


def _other(step: str, language: str) -> str:
    one, more, video, text, search, _ = NOUNS[language]
    tool = step.split("=", 1)[1].split("(", 1)[0]
    count = int(_argument(step, "count", "1"))
    if tool in {"generate_image", "vary_image"}:
        return one if count == 1 else more.format(n=count_word(count, language))
    if tool == "make_video":
        return video.format(s=_argument(step, "seconds", "4"))
    return text if tool == "write_text" else search


def reply_line(steps: list[str], language: str, slots: Slots) -> str:
    """Say what the steps make, in the request's language: "Three happy cats and a 3 second morph."."""
    many = {value.prompt: value.many for value in slots.values.values() if isinstance(value, Phrase)}
    parts = [_english(step, many) if language == "en" else _other(step, language) for step in steps]
    link = " and " if language == "en" else NOUNS[language][5]
    said = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + link + parts[-1]
    return said[0].upper() + said[1:] + "."
