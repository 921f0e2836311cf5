"""Starts the node graph, with launch or without it, watches it and measures it."""
