"""The variables of a step: the `CI_*` variables, which names are allowed, how large they may be."""
