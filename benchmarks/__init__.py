"""What the service costs and how fast it is, measured: each figure beside a named alternative in the same run."""
