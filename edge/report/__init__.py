"""What leaves a unit: counts of k, its health, and when they are sent."""
