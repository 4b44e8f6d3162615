"""The embedded stand-in for ``tensorflow_model_server``.

It speaks the real ``tensorflow.serving`` gRPC services over TensorFlow, reads the same configuration files and
the same flags, and answers as the real server was seen to answer. A laptop can so run the whole service without
Docker, and the conformance suite in ``tests/conformance`` can be pointed at either server.

Start it with ``python -m model_server --port=8500 --model_config_file=serving_config/models.config``.
"""
