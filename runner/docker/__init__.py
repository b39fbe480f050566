"""The Docker client: the only way in which Headway talks to the Docker Engine."""
