"""Where the code comes from: mirrors, checkouts, and the working tree of `headway run`."""
