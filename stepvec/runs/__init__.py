"""A run's input, its records and files in the work bucket, and the outcome of each image."""
