"""How numba compiles the engines: flags, the processor's vectors, the disk cache."""
