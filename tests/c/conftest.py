"""Fixtures of the tests of the C exporter."""

from __future__ import annotations

import pytest


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """True with --update-golden (declared in tests/conftest.py): write the golden files anew."""
    return bool(request.config.getoption("--update-golden"))
