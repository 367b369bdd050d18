"""The pipeline on this machine: synthesized, deployed to the embedded AWS, and run over a folder of photos."""
