"""Webhooks of forges: verified, stored in batches, and answered before any work begins."""
