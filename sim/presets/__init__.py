"""Ready-made experiments, one TOML file each; their first comment says what they show."""

from pathlib import Path


def presets() -> dict[str, Path]:
    """Name and file of every preset."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
