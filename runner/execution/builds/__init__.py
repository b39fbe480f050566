"""Builds and pushes of images as steps of a job."""
