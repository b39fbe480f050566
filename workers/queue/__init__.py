"""The Celery application, and the wake-ups that are sent through it."""
