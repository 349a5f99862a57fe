"""English: plurals, articles, lists, counts and numbers."""

from __future__ import annotations

from collections.abc import Sequence

UNCOUNTED = ("water", "ice", "sand", "grass")
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
# The last word of a body part's name -> what people call the parts of that kind
PARTS = {
    "foot": "feet", "shank": "shins", "thigh": "thighs", "pelvis": "hips", "torso": "trunk",
    "head": "head", "forearm": "forearms", "arm": "arms", "hand": "hands",
}  # fmt: skip


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
    >>> plural("box"), plural("ball"), plural("legs")
    ('boxes', 'balls', 'legs')
    """
    if word.endswith(UNCOUNTED) or (word.endswith("s") and not word.endswith("ss")):
        return word
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"


def article(phrase: str) -> str:
    """
    >>> article("orange ball"), article("grey legs")
    ('an orange ball', 'grey legs')
    """
    if plural(phrase) == phrase:
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def at(*seconds: float) -> str:
    """
    >>> at(0.42), at(0.4, 0.7, 1.0)
    ('0.4 s', '0.4, 0.7 and 1.0 s')
    """
    return f"{listed(list(dict.fromkeys(f'{s:.1f}' for s in seconds)))} s"


def span(start_s: float, end_s: float) -> str:
    """
    >>> span(0.42, 0.9), span(0.84, 0.84)
    ('0.42-0.90 s', '0.84 s')
    """
    first, last = f"{start_s:.2f}", f"{end_s:.2f}"
    return f"{first} s" if first == last else f"{first}-{last} s"


def weight(mass_kg: float) -> str:
    """
    >>> weight(0.25), weight(63.2)
    ('0.25 kg', '63 kg')
    """
    return f"{mass_kg:.2g} kg" if mass_kg < 100 else f"{mass_kg:.0f} kg"


def digits(text: str) -> float:
    """Half a unit of the last digit: how far a number may be from what was rounded to that.

    >>> digits("0.25"), digits("63"), digits("1e+02")
    (0.005, 0.5, 50.0)
    """
    number, _, exponent = text.partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(number.partition(".")[2]))
