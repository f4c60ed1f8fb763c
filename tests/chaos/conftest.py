"""A world for each directed test of this folder, as for an end-to-end test."""

from tests.e2e.conftest import world

__all__ = ["world"]
