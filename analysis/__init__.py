"""The theory of micro-batch clipping: symbolic claims, and the exact bias on solvable models."""

__version__ = "0.1.0"
