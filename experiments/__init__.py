"""The section and its claims as scripts: one question each; ``python -m experiments``."""

from pathlib import Path

RESULTS = Path("results")
"""Folder for figures, below the current one."""
