"""What the processes of an installation record: heartbeats, which scheduler is the leader, duties that failed."""
