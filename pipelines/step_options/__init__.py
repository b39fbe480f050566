"""What a step or a service may declare beside its commands, as values of the plan: caches, readiness, report
files, resources, retries.
"""
