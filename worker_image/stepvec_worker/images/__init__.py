"""From an S3 object to pixels: fetch, decode, preprocess."""
