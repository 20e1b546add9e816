"""The firmware's version, equal to the project's in pyproject.toml (test_compiled.py checks it)."""

VERSION = "0.1.0"
