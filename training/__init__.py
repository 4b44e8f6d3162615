"""Training: from labelled pictures to a SavedModel that the model server can load.

`python -m training train --help` is the way in; `docs/training.md` tells the whole story.
"""
