"""What a step or service may use: the limits of its container, and whether the server grants what the file asks for."""
