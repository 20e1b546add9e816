"""The words of `look`: its section of `edge/words.toml`."""

from edge import words
from edge.look.advice import Advice
from edge.words import Language

WORDS = words.section("look")
say = WORDS.say


def sentence(advice: Advice, language: Language = WORDS.languages[0]) -> str:
    """What an installer should do, as one sentence."""
    return say(language, f"advice-{advice.key}", **dict(advice.values))
