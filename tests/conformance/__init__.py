"""What TensorFlow Serving answers, as tables and tests that any model server can be held against.

``pytest tests/conformance`` makes the models, starts the embedded model server and asks it. The same tests ask a
real ``tensorflow_model_server`` when they are given its address:

1. ``python -m tests.conformance.make_models DIR``, and mount DIR as ``/models``;
2. start it with ``--model_config_file=/models/models.config --allow_version_labels_for_unavailable_models=true
   --max_num_load_retries=0 --grpc_max_threads=64``;
3. ``pytest tests/conformance --target host:port --target-models DIR``.

Without ``--target-models`` the tests that add and remove versions are skipped. Other flags need servers of their
own, each given by its address, or their tests are skipped: ``--target-batching`` (``--enable_batching=true`` with
``--batching_parameters_file`` set to the ``batching.config`` of this folder), ``--target-threads``
(``--grpc_max_threads=2``) and ``--target-content`` (``--enable_serialization_as_tensor_content=true``).

Codes must match, and messages too, except where they quote TensorFlow internals.
"""
