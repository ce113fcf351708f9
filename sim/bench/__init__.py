"""Speed: one job, programs, one interleaved run. See paper_notes/performance.md."""
