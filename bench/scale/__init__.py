"""A run of up to a hundred million images on the storage stand-in: the real functions, jobs answered by a model."""
