"""Commands for users: `headway user`, `role`, `token`, `session`."""
