"""Files of failed jobs, kept on their machine so that a re-run can go on from the step that failed."""
