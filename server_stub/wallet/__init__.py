"""The wallet page, as a phone gets it."""
