"""The JSON API of runs: their state, logs, artifacts and tests."""
