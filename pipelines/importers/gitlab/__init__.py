"""Pipeline files of GitLab CI."""
