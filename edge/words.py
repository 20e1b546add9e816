"""The texts of all pages in every language: one table, `words.toml`, read by one loader.

It is a table and not gettext, because a translator sees every language of a text at once, nothing
has to be compiled, and a phone gets its part of the same table as JSON. No text needs plural forms.

`tests/edge/test_words.py` checks that the table is complete. At run time a missing text never ends
a program: the first language replaces it, and if that is missing too, its key.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

Language = str
"""A column of the table: `en`."""

Translations = dict[Language, str]

COMMON = "common"  # the section that is part of every other one
SLOT = re.compile(r"\{(\w+)\}")  # where a value goes

_HERE = Path(__file__).parent
TABLE = _HERE / "words.toml"
_SCRIPT = _HERE / "words.js"
_END = re.compile(r"[.@;]")  # of the language in zh_CN.UTF-8 and in zh-CN;q=0.9


class Words:
    """The texts of one section and of `common`."""

    def __init__(
        self, entries: Mapping[str, Translations], languages: tuple[Language, ...]
    ) -> None:
        """`languages`: the first one replaces a missing text."""
        self.languages = languages
        self.keys = frozenset(entries)
        first = {key: entry.get(languages[0], key) for key, entry in entries.items()}
        self._texts = {
            language: first | {k: e[language] for k, e in entries.items() if language in e}
            for language in languages
        }

    def say(self, language: Language, key: str, **values: object) -> str:
        """The text for `key`, with `values` in its slots."""
        text = self._texts[language].get(key, key)
        return SLOT.sub(lambda slot: str(values.get(slot[1], slot[0])), text)

    def in_each(self, key: str) -> list[str]:
        """The text for `key` in every language, for readers whose language is not known."""
        return [self.say(language, key) for language in self.languages]

    def choose(self, languages: str) -> Language:
        """The language for a reader of `languages`, as `Accept-Language` or a locale names them:
        the first that is here, as in `zh-CN,en;q=0.8` or `zh_CN.UTF-8`.
        """
        for part in languages.split(","):
            tag = _END.split(part.strip(), 1)[0].replace("_", "-").lower()
            for language in self.languages:
                if f"{tag}-".startswith(f"{language}-"):
                    return language
        return self.languages[0]

    def script(self) -> bytes:
        """The same as a JavaScript module, for a browser: words.js with the texts in it."""
        texts = json.dumps(self._texts, ensure_ascii=False, indent=1).encode()
        return _SCRIPT.read_bytes().replace(b'{"{texts}": {}}', texts)


@cache
def table(path: Path = TABLE) -> dict[str, dict[str, Translations]]:
    """Sections, entries, languages; read once."""
    with path.open("rb") as file:
        return tomllib.load(file)


def section(name: str, path: Path = TABLE) -> Words:
    """The words of section `name`."""
    sections = table(path)
    common = sections[COMMON]
    return Words(common | sections[name], tuple(common["language"]))
