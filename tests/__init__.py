"""Tests, laid out in the rooms of what they test; what several share lies beside this file."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
