"""The HTTP gateway: pictures in over HTTP, sports out as JSON. Never imports TensorFlow."""
