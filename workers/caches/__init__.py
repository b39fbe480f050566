"""Copies of caches in the blob store, which workers on several machines share."""
