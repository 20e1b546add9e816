"""The issuer: records, codes over HTTP and on paper, revocation."""
