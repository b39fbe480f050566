"""The pages of a repository: its runs, its branches, and the badge of a branch."""
