"""Fixtures for the tests of the endpoint."""

import asyncio

import pytest

from tests.graphql.sample_schema import MUTATED, SLOW


@pytest.fixture
def nothing_ran_before() -> None:
    """Forgets the mutations that ran in the sample schema, and makes its slow field wait again."""
    MUTATED.clear()
    SLOW.started, SLOW.release = asyncio.Event(), asyncio.Event()
