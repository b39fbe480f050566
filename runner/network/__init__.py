"""A company's own network: its proxies, and its own certificate authority."""
