"""Training core: sentences, demonstrations, model, training, export. Knows nothing of ROS."""
