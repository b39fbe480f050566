"""Which steps of a workflow a trigger selects, which image each gets, and which steps it waits for."""
