"""The JSON API under /api, one module a noun."""
