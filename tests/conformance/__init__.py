"""The kit with which anybody tests an issuer, a wallet or a reader of their own: README.md."""
