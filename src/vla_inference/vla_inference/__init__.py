"""VLA inference: bundle, backends, action chunks, action player."""
