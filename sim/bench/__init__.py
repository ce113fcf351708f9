"""Speed: one job, several programs, one interleaved run. See paper_notes/performance.md."""
