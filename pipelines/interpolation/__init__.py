"""Substitution of ``${NAME}`` in the text of a pipeline file, before the text is parsed as YAML."""
