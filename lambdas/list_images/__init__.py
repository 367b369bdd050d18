"""ListImages: checks the input, then writes the keys, sizes and ETags of all images to the run's listing files."""
