"""HTML and SVG from templates: what a unit, a person or a store has put in is text, never markup.

Every value is escaped. A name that a template does not get is an error, and not an empty place.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path) -> Environment:
    """The templates in `folder`."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
