"""Carries out one job's plan against Docker. Knows no database, no queue and no web."""
