"""Accounts, tokens, usage, mails and the mailing list, in a database. Knows nothing of HTTP and of pictures."""
