"""Everything that keeps state: database, queue, logs, secrets, forges; and the processes worker and scheduler."""
