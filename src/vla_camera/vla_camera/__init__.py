"""Camera ingest: from image messages to synchronised, healthy sets of images."""
