"""What the worker is measured against: programs that someone else would have written, each as it would be."""
