"""Users, their sessions and API tokens, their roles on repositories, and the audit log of what they changed."""
