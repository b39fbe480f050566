"""Outbound network access: HTTP proxies and private CA certificates."""
