"""The command line of a computer that is not the server: it speaks to the API."""
