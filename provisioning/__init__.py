"""Commissioning by the operator: authority, issuers, sites, and a card for each unit.

Start at `estate.py` for the folder's layout; each command has its own file.
"""
