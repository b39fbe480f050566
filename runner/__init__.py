"""The runner: executes the plan of one job with Docker, without a database, a queue or a web server."""
