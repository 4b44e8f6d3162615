"""`python -m accounts`: accounts and tokens at the command line, for an operator."""

import sys

from accounts.commands.line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
