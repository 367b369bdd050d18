"""A second opinion on definition and templates, from an emulator that others wrote: `make second-opinion`."""
