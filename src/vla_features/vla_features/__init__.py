"""Vision features, encoded only when the scene has changed."""
