"""Networks that failed once, kept as files: each is compared again by the tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .spec import Net, from_json

FOLDER = Path(__file__).parent / "cases"


def save(net: Net, folder: Path = FOLDER) -> Path:
    """Write a case; its name is the hash of its content."""
    text = net.to_json()
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.write_text(text)
    return path


def load() -> dict[str, Net]:
    """All cases by name."""
    return {path.stem: from_json(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
