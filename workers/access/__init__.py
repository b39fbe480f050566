"""Authorization: what a trigger may use, and the credentials that a job gets accordingly."""
