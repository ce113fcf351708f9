"""The compiled engine for any CPU."""
