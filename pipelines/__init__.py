"""The pipeline language as pure functions: text and a trigger in, a plan out, without disk, network or clock."""
