"""The JSON API of repositories: their settings, secrets, crons, deliveries."""
