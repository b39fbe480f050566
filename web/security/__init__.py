"""Authentication, rate limit of logins, security headers and the limit of request bodies."""
