"""What goes wrong in production, done to real processes: the gateway's, and those of model servers."""
