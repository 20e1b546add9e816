"""The devices at a door: lights, buzzer, relay and inputs, and the alarms that the inputs raise."""
