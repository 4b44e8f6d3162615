"""A look at labelled pictures before anything is trained on them: what is broken, doubled, rare or leaking."""
