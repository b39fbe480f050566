"""What a run came to, in a sentence with its cause."""
