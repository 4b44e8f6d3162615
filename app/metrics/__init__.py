"""What the gateway measures of itself, and how Prometheus gets to see it."""
