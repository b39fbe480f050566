"""What a workflow calls in its own repository: workflows and composite actions, put in its place before conversion."""
