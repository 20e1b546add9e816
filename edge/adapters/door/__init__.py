"""Two ways to drive a door: the unit's own pins, or a controller over OSDP."""
