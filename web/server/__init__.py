"""The web application and the processes of `headway serve` and `headway web`."""
