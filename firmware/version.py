"""This firmware's version: the project's (pyproject.toml; a test holds them equal)."""

VERSION = "0.1.0"
