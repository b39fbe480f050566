"""One job while it runs: what its steps share, its options and deadline, its journal, the rules that keep it apart
from other jobs.
"""
