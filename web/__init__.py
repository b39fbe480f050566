"""The web server: webhooks, JSON API, pages and live streams, and the commands that run and administrate it."""
