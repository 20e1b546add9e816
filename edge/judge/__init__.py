"""Is a code genuine, and does this door open for it? The only package that decides trust."""
