"""Operations on runs: starting and cancelling them, their jobs in order, parts of their logs."""
