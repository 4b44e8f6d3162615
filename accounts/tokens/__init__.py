"""Bearer tokens: what they look like, how they are kept, made, checked and taken back."""
