"""What a unit keeps: counts and clock on the disk, marks of who passed in RAM."""
