"""Figures, one per file; each declares its runs, its data, its checks and its drawing."""
