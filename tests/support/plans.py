"""Files of plans for tests."""

from pathlib import Path


def plans_file(folder: Path, **plans: dict[str, int | bool]) -> Path:
    """Write a file of plans; the first one is the default."""
    lines = [f'default = "{next(iter(plans))}"']
    for name, content in plans.items():
        lines.append(f"[plans.{name}]")
        lines += [f"{key} = {str(value).lower()}" for key, value in content.items()]
    path = folder / "plans.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path
