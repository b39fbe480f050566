"""The JSON API of users: their roles, sessions and tokens."""
