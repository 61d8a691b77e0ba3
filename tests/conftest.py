"""Shared set-up of the test suite."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The house's packages, for a checkout that is not installed; the harness for the tests beside it.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import harness


@pytest.fixture
def pair(tmp_path: Path) -> harness.Pair:
    """Runs one command natively and under lxrun and compares them."""
    return harness.Pair(tmp_path)
