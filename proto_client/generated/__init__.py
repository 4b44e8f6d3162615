"""What `python -m proto_client.generator` made; never edited by hand.

`serving.binpb` is a FileDescriptorSet, the `.pyi` files tell type checkers its messages' fields. Both derive
from the descriptors of TensorFlow and TensorFlow Serving (Apache-2.0). Use the classes through
`proto_client.messages`.
"""
