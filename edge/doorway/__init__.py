"""What hangs at a door: lights, sound, relay, the wired inputs, and the alarms they give."""
