"""The ``headway`` commands that need no server: run, lint, plan, schema and init."""
