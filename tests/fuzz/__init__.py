"""Codes that were valid, hurt in every way we know, against the real verifier: `make fuzz`."""
