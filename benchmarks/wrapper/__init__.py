"""The gateway against the design that it replaces: `python -m benchmarks.wrapper`."""
