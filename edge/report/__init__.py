"""What leaves a unit: counts in cells of at least k, and health; and when they are sent."""
