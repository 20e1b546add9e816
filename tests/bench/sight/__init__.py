"""How much is read and what it costs, beside the decoders alone: `make bench-sight`."""
