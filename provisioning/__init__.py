"""What the people who run doors make once: authority, issuers, sites, and a card for each unit.

Start at `estate.py` for what lies where; each command has its file.
"""
