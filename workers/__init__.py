"""All that remembers: database, queue, secrets, logs, forges, and the tasks that workers run."""
