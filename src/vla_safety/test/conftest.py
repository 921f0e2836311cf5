"""Property tests take as long as the machine needs, and are the same on every run."""

from hypothesis import settings

settings.register_profile("gate", deadline=None, database=None, derandomize=True)
settings.load_profile("gate")
