"""What tests, benchmarks and resilience runs share: a storage stand-in, photos, process measurement, a seeded model."""
