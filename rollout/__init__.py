"""New versions of a model brought in with care: check, publish, promote, roll back. The command: `python -m rollout`.

It speaks with model servers only, never with the gateway, and never imports TensorFlow.
"""
