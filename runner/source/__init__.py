"""Source code: git mirrors, checkouts, and the working tree of ``headway run``."""
