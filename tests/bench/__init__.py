"""What the work costs, side by side with its peers in the same run: `make bench`."""
