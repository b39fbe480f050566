"""A worker process goes on with the job of one that has died on the same machine."""
