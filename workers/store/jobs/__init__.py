"""Jobs that wait, run and end: leases, lanes, turns in concurrency groups, and the reasons why a job waits."""
