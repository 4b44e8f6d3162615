"""What the service replaces, written as such services usually are: the other side of every ratio."""
