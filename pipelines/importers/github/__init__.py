"""Workflows of GitHub Actions (and of Gitea and Forgejo) as files of ours."""
