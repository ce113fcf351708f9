"""The formats of the pictures. The command knows them without importing matplotlib."""

from typing import Any

# What matplotlib writes into each, without dates and versions: the same picture, the
# same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}

# Those that the page shows, each with its media type.
SHOWN = {"svg": "image/svg+xml", "png": "image/png"}
