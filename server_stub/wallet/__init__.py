"""The wallet page: files for phones, and the routes that serve them."""
