"""The threads that the engines share their replicates among."""

from concurrent.futures import ThreadPoolExecutor


class Workers(ThreadPoolExecutor):
    """A pool that knows the number of its threads."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.threads = threads
