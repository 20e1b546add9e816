"""The unit at a door: sees a code, judges it offline, lights, opens, counts."""

BUILT_S = 1795305600
"""Unix seconds, 2026-11-22 00:00 UTC, when this version was built; `make release` sets it.

No true clock shows an earlier time.
"""
