"""What stands behind the gateway in a benchmark."""
