"""English: nouns, plurals, lists, counts, times, and words for what a camera does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simgen.captions.facts import Facts

NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
LEVEL_DEG, STEEP_DEG = 8.0, 40.0  # pitch below which a view is level, and above which steep


def count(n: int) -> str:
    """
    >>> count(3), count(40)
    ('three', '40')
    """
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def times(n: int) -> str:
    """
    >>> times(1), times(2), times(5)
    ('once', 'twice', 'five times')
    """
    return {1: "once", 2: "twice"}.get(n, f"{count(n)} times")


def listed(items: Sequence[str]) -> str:
    """
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def plural(word: str) -> str:
    """
    >>> plural("box"), plural("ball")
    ('boxes', 'balls')
    """
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"


def article(phrase: str) -> str:
    """
    >>> article("orange ball")
    'an orange ball'
    """
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def at(*seconds: float) -> str:
    """
    >>> at(0.42), at(0.4, 0.7, 1.0)
    ('0.4 s', '0.4, 0.7 and 1.0 s')
    """
    return f"{listed(list(dict.fromkeys(f'{s:.1f}' for s in seconds)))} s"


def noun(facts: Facts, *, sized: bool = False, more: str = "") -> str:
    """Size, `more`, colour and label; a thing of many parts has no one colour.

    >>> noun({"label": "ball", "colour": "red", "size_word": "small", "parts": 1}, sized=True)
    'small red ball'
    """
    colour = facts["colour"] if facts["parts"] == 1 else ""
    words = (facts["size_word"] if sized else "", more, colour, facts["label"])
    return " ".join(word for word in words if word)


def weight(mass_kg: float) -> str:
    """
    >>> weight(0.25), weight(63.2)
    ('0.25 kg', '63 kg')
    """
    return f"{mass_kg:.2g} kg" if mass_kg < 100 else f"{mass_kg:.0f} kg"


def bounciness(restitution: float) -> str:
    """
    >>> bounciness(0.9), bounciness(0.6), bounciness(0.4), bounciness(0.1)
    ('very bouncy', 'bouncy', '', 'hardly bouncy')
    """
    if restitution >= 0.8:
        return "very bouncy"
    return "bouncy" if restitution >= 0.5 else "hardly bouncy" if restitution <= 0.3 else ""


def camera_words(camera: Facts, rng: np.random.Generator) -> str:
    """What the camera does, as a clause with a subject."""
    move = camera["move"]
    degrees, metres = f"{camera['angle_deg']:.0f}", f"{camera['travel_m']:.1f}"
    if move == "orbit":
        verb = rng.choice(["orbits", "arcs", "circles"])
        return f"the camera {verb} {degrees} degrees to the {camera['side']}"
    if move.startswith("dolly"):
        way = move.removeprefix("dolly_")
        return f"the camera {rng.choice(['dollies', 'moves'])} {way} by {metres} m"
    if move.startswith("zoom"):
        return f"the camera zooms {move.removeprefix('zoom_')}"
    if move == "static":
        return str(rng.choice(["the camera is static", "the camera stands still"]))
    return f"the camera moves by {metres} m"


def gaze_words(pitch_deg: float) -> str:
    """Where the camera looks at the clip's start.

    >>> gaze_words(-20), gaze_words(0)
    ('looking slightly down', 'looking straight ahead')
    """
    if abs(pitch_deg) < LEVEL_DEG:
        return "looking straight ahead"
    way = "down" if pitch_deg < 0 else "up"
    return f"looking {'steeply' if abs(pitch_deg) > STEEP_DEG else 'slightly'} {way}"
