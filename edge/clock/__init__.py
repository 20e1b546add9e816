"""What time it is: an interval, where it comes from, and how a unit asks for it."""
