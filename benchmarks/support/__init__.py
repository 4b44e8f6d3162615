"""What several benchmarks share: made pictures, processes with their cost, load, tables and plots."""
