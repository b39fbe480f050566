"""Step output: masks secrets, limits its size and removes escape sequences."""
