"""What people mean by common words, where the names of emoji say otherwise ("car" is in "railway car")."""

from __future__ import annotations

from models.emoji.edits import COLOURS, MOODS

COMMON: dict[str, tuple[str, ...]] = {
    "car": ("automobile", "oncoming automobile", "racing car"),
    "cat": ("cat face", "cat", "grinning cat"),
    "kitten": ("cat face", "grinning cat"),
    "happy cat": (
        "grinning cat",
        "grinning cat with smiling eyes",
        "smiling cat with heart-eyes",
        "cat with tears of joy",
    ),
    "smiling cat": ("grinning cat", "grinning cat with smiling eyes"),
    "sad cat": ("crying cat", "weary cat"),
    "crying cat": ("crying cat",),
    "angry cat": ("pouting cat",),
    "cat in love": ("smiling cat with heart-eyes", "kissing cat"),
    "black cat": ("black cat",),
    "dog": ("dog face", "dog"),
    "puppy": ("dog face",),
    "bird": ("bird",),
    "fish": ("fish", "tropical fish"),
    "monkey": ("monkey face", "monkey"),
    "horse": ("horse face", "horse"),
    "cow": ("cow face", "cow"),
    "pig": ("pig face", "pig"),
    "rabbit": ("rabbit face", "rabbit"),
    "dragon": ("dragon face", "dragon"),
    "dinosaur": ("T-Rex", "sauropod"),
    "moon": ("crescent moon", "full moon", "full moon face", "first quarter moon face"),
    "sun": ("sun", "sun with face"),
    "star": ("star", "glowing star"),
    "flower": ("blossom", "cherry blossom", "tulip", "hibiscus", "sunflower", "rose"),
    "tree": ("deciduous tree", "evergreen tree", "palm tree"),
    "house": ("house", "house with garden"),
    "train": ("train", "locomotive", "high-speed train"),
    "bus": ("bus", "oncoming bus"),
    "boat": ("sailboat", "motor boat"),
    "ship": ("ship", "passenger ship"),
    "plane": ("airplane", "small airplane"),
    "spaceship": ("rocket", "flying saucer"),
    "umbrella": ("umbrella", "closed umbrella"),
    "snowman": ("snowman", "snowman without snow"),
    "cake": ("birthday cake", "shortcake"),
    "birthday cake": ("birthday cake",),
    "ball": ("soccer ball", "basketball"),
    "football": ("soccer ball", "american football"),
    "balloon": ("balloon",),
    "heart": ("red heart", "sparkling heart", "growing heart"),
    "love": ("red heart", "two hearts", "smiling face with hearts"),
    "gift": ("wrapped gift",),
    "present": ("wrapped gift",),
    "book": ("open book", "closed book"),
    "computer": ("laptop", "desktop computer"),
    "phone": ("mobile phone", "telephone"),
    "coffee": ("hot beverage",),
    "burger": ("hamburger",),
    "face": ("slightly smiling face", "grinning face"),
    "smiley": ("smiling face with smiling eyes", "grinning face", "slightly smiling face"),
    "happy face": (
        "grinning face",
        "grinning face with big eyes",
        "smiling face with smiling eyes",
        "beaming face with smiling eyes",
    ),
    "smiling face": ("smiling face with smiling eyes", "slightly smiling face"),
    "sad face": ("crying face", "disappointed face", "slightly frowning face", "frowning face"),
    "angry face": ("angry face", "enraged face"),
    "sleepy face": ("sleepy face", "sleeping face", "yawning face"),
    "tired face": ("tired face", "yawning face"),
    "surprised face": ("face with open mouth", "hushed face"),
    "birthday": ("birthday cake", "party popper", "wrapped gift"),
    "vehicle": ("automobile", "bus", "sport utility vehicle"),
}
WITHOUT_EDITS = frozenset({"love", "birthday", "vehicle", "smiley"})  # and phrases of two words


def common_captions() -> list[tuple[str, tuple[str, ...], bool]]:
    """Return captions of common words, plain and edited: (caption, names of things, whether it names no edit)."""
    found: list[tuple[str, tuple[str, ...], bool]] = []
    for word, names in COMMON.items():
        found.append((word, names, True))
        if word in WITHOUT_EDITS or " " in word:
            continue
        found += [(f"{colour.word} {word}", names, False) for colour in COLOURS]
        edited = [mood.captions[number].format(word) for mood in MOODS for number in (0, 1)]
        found += [(caption, names, False) for caption in edited if caption not in COMMON]
    return found
