"""What goes over a connection to the engine: attached streams, archives, and messages of progress."""
