"""The front page: which repositories need attention, and the newest runs."""
