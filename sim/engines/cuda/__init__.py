"""The engine for a GPU: kernels in CUDA C++, and how they are launched."""
