"""`python -m proto_client.generator [folder]`: makes the generated files anew, by default in their own place."""

import argparse
from pathlib import Path

from proto_client.generator import generate


def main() -> None:
    """Reads the command line and generates."""
    parser = argparse.ArgumentParser(prog="python -m proto_client.generator", description=__doc__)
    default = Path(__file__).resolve().parents[1] / "generated"
    parser.add_argument("folder", nargs="?", type=Path, default=default, help="where to write")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    generate(folder)


if __name__ == "__main__":
    main()
