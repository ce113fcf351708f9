"""The proof checker: relations, steps, and claims whose every step is checked."""
