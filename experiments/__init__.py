"""The section and its claims as scripts: one question each; ``python -m experiments``."""
