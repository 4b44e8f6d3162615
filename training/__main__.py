"""The command `python -m training`: train, export, evaluate."""

import os
import sys

if __name__ == "__main__":
    # Before TensorFlow starts: its notes about the machine's instructions would bury the progress bars.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from training.command import main

    sys.exit(main())
