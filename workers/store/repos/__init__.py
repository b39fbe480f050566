"""Repositories and what belongs to one: secrets and registry logins, crons, the inputs that its pipelines declare."""
