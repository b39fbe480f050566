"""What is asked of the engine about images: the sandbox image, who uses one, and the space that they take."""
