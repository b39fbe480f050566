"""Images and registries: what a job needs is pulled, what it made is pushed."""
