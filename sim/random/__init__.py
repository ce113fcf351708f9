"""Random numbers by address: the same whatever computes them, in any order."""
