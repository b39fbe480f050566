"""OpenTelemetry traces of runs: which spans there are, and how they are sent. Off unless the environment asks for it.

Nothing of OpenTelemetry is imported without its variables, and no job ever waits for the collector.
"""
