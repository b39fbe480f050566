"""Expressions of GitHub Actions: their trees, what their names mean, and what they become here."""
