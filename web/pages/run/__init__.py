"""A run's page: its verdict, its log, and below them its graph, its times and all that it left."""
