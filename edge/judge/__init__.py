"""Is a code true, and does this door open for it? The one room that decides trust."""
