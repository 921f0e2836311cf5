"""Property tests take as long as the machine needs, and are the same on every run."""

from hypothesis import settings

settings.register_profile("gate", deadline=None, database=None, derandomize=True)
settings.load_profile("gate")


def pytest_collection_modifyitems(items):
    """Plain tests first: they name a defect better than a property does, and sooner."""
    items.sort(key=lambda item: getattr(item.obj, "is_hypothesis_test", False))
