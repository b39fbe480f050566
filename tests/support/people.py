"""Who does things in tests."""

from web.security.access import command_line

OPERATOR = command_line("tests")
"""Who has a shell on the server: may do everything."""
