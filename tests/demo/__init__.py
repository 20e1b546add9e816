"""The main job on real input: doors, broker, issuer, collector and page on one machine."""
