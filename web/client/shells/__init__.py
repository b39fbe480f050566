"""A shell in a running step of a server, in the terminal of this computer."""
