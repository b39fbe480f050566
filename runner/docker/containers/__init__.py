"""The containers that are asked of the engine: what a container is made from, and its mounts."""
