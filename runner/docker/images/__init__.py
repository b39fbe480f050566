"""What is asked of the engine about images: the sandbox image, what uses an image, and the disk space."""
