"""How numba compiles the engines: flags, vectors of the processor, the cache on disk."""
