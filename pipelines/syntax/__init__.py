"""The syntax level: YAML text to nodes with line and column, scalars, shell text, and the diagnostics of a file."""
