"""Broker and collector: the units' messages, and what doors believe on its way to them."""
