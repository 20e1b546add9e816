"""The words of the operators' page: its section of `edge/words.toml`."""

from edge import words
from edge.wire.report import KNOWN_WORDS
from edge.words import Language

__all__ = ["WORDS", "Language", "say", "say_unknown", "say_word"]

WORDS = words.section("operators")
say = WORDS.say


def say_word(language: Language, field: str, word: str) -> str:
    """The text for a unit's `word` in `field`; a later version's word gets a note."""
    if word not in KNOWN_WORDS[field]:
        return say_unknown(language, word)
    return say(language, f"alarm-{word}" if field == "alarms" else word)


def say_unknown(language: Language, what: str) -> str:
    """The note that this version does not know `what`."""
    return say(language, "unknown-here", what=what)
