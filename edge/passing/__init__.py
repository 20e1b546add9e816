"""Who passes: anti-passback, turnstile, occupancy."""
