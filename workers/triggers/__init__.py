"""Runs that no webhook starts: by hand, and by cron."""
