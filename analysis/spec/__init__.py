"""The problem, described once: what theory and simulation both speak about."""
