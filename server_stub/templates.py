"""HTML and SVG from templates. Text from units, people or the store never becomes markup.

Every value is escaped. A missing value raises an error instead of rendering as nothing.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path) -> Environment:
    """The Jinja environment for the templates in `folder`."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
