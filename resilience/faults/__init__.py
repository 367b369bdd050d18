"""The fault harness: injects faults between our processes and the embedded AWS, and proves that nothing is lost."""
