"""The benchmark. See README.md here."""
