"""Numerical attacks on the claims, and the exact runs that they use."""
