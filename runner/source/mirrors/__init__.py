"""Bare mirrors of remote repositories: fetching, heads, which branches contain a commit, removal."""
