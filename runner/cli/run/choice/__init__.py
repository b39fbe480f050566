"""What ``headway run`` runs of a pipeline: for which trigger, and which jobs and steps."""
