"""The central side: broker, collector, store, issuer with its wallet page, operators' page."""
