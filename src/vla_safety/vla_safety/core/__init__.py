"""The gate without ROS: values in, values out, time passed in."""
