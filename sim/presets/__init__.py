"""Ready-made experiments, one TOML file each; the first comment says what for."""

from pathlib import Path


def presets() -> dict[str, Path]:
    """Name and file of every preset."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
