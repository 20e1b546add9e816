"""The words of the operators' page: its section of `edge/words.toml`."""

from edge import words
from edge.words import Language

__all__ = ["WORDS", "Language", "say"]

WORDS = words.section("operators")
say = WORDS.say
