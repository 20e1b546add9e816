"""Broker and collector: units' messages on their way in, trust documents on their way to doors."""
