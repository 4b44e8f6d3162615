"""Mails: their words, the way they go out, and the box in the database in which they wait until they have."""
