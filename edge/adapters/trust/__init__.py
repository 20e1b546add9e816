"""Trust documents: fetched, verified by python-tuf, kept in two generations."""
