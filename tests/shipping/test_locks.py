"""Both locks agree with each other and with pyproject.toml, and say nothing of where they were made."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
GATEWAY_LOCK = ROOT / "requirements-gateway.lock"
ALL_LOCKS = sorted(ROOT.glob("requirements*.lock"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# What the project asks for: the whole lock holds all of it, the gateway's only the first part.
GATEWAY: list[str] = PROJECT["project"]["dependencies"]
EXTRA: list[str] = PROJECT["project"]["optional-dependencies"]["tensorflow"]
DEV: list[str] = PROJECT["dependency-groups"]["dev"]

PIN = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+))?")


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the pinned versions by name; some have one for each kind of Python."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if match := PIN.match(line):
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


def pinned_for_the_project(lock: Path) -> set[str]:
    """Return the names that the lock says the project itself asked for."""
    name = PROJECT["project"]["name"]
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"))
    return {
        canonicalize_name(match[1])
        for block in blocks
        if (match := PIN.match(block)) and re.search(rf"#.*\b{name} \(pyproject\.toml", block)
    }


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(one).name) for one in requirements}


def test_the_gateway_lock_pins_what_the_whole_lock_pins() -> None:
    whole, gateway = pins(LOCK), pins(GATEWAY_LOCK)
    assert gateway
    assert {name: versions for name, versions in gateway.items() if whole.get(name) != versions} == {}


def test_the_gateway_lock_has_no_tensorflow() -> None:
    heavy = {"tensorflow", "tensorflow-serving-api", "keras", "h5py", "ml-dtypes", "absl-py", "tensorboard"}
    assert pins(GATEWAY_LOCK).keys() & (heavy | names(EXTRA)) == set()


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [(LOCK, GATEWAY + EXTRA + DEV), (GATEWAY_LOCK, GATEWAY)],
    ids=["whole", "gateway"],
)
def test_a_lock_is_up_to_date_with_pyproject(lock: Path, requirements: list[str]) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, requirements):
        versions = pinned.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not in {lock.name}: run `make lock`"
        for version in versions:
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{lock.name} pins {requirement.name} {version}, but pyproject.toml wants "
                f"{requirement.specifier}: run `make lock`"
            )
    # And nothing is left that the project no longer asks for.
    assert pinned_for_the_project(lock) == names(requirements)


@pytest.mark.parametrize("lock", ALL_LOCKS, ids=[lock.stem for lock in ALL_LOCKS])
def test_a_lock_names_no_index_and_no_place(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert re.findall(r"\S*://\S*|\S* @ \S*|--(?:extra-)?index-url.*|--find-links.*", text) == []
    # No path of the machine that made it either.
    assert re.findall(r"(?<![\w.])/\w+/\S+", text) == []


@pytest.mark.parametrize("lock", ALL_LOCKS, ids=[lock.stem for lock in ALL_LOCKS])
def test_every_pin_has_hashes(lock: Path) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"))
    pinned = [block for block in blocks if PIN.match(block)]
    assert len(pinned) >= len(pins(lock))
    assert [block.split()[0] for block in pinned if "--hash=sha256:" not in block] == []
