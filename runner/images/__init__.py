"""Images and registries: pulls the images that a job needs and pushes those that it built."""
