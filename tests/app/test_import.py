import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, sys
import app.main, app.__main__
from app.settings import Settings
app.main.create_app(Settings.model_validate({"tokens": ["0123456789abcdef"]}))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_gateway_never_imports_tensorflow() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(ended.stdout))
    assert {"app", "proto_client", "grpc"} <= loaded
    assert not loaded & {"tensorflow", "keras", "tensorflow_serving", "training", "model_server", "h5py"}
