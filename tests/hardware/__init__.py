"""Proofs on stand-ins for the hardware, most of them in a Debian 13 in a folder (.ci/trixie)."""
