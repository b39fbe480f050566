"""Plans a run and prepares its jobs: pipeline files to rows, options, restored artifacts, waiting for a forge."""
