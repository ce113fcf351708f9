"""The commands of python -m analysis, and what all commands share."""
