"""Traces: where the time of one request went, over all the services that it passed."""
