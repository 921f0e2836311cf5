"""Trains the reach policy in the simulator and writes its bundle."""
