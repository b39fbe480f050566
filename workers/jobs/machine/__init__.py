"""The worker's machine: whether its engine answers and its disk has room, the rules of its host, its heartbeat."""
