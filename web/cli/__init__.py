"""The commands that run and administrate the server, one module a noun."""
