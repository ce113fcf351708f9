"""A program of the benchmark as a process of its own: one JSON request a line, one JSON reply."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from analysis.model import Experiment

Statistics = tuple[list[float], list[float]]  # mean of ‖w‖ and its standard error [points]
Run = Callable[[int], Statistics]  # from a seed
Build = Callable[[Experiment, int, str], Run]  # experiment, threads, backend


def serve(build: Build, **others: Callable[..., Any]) -> None:
    """Answer requests on stdin until it ends.

    {"build": experiment, "threads": n, "backend": name} builds and compiles the job, and answers
    {"seconds"}. {"run": seed} runs it: {"seconds", "mean", "standard_error"}. {"NAME": arguments}
    calls one of `others` and answers {"result"}. A request that fails is answered {"error"}.
    """
    run: Run | None = None
    for line in sys.stdin:
        request = json.loads(line)
        begin = time.perf_counter()
        try:
            if "build" in request:
                experiment = Experiment.from_mapping(request["build"])
                run = build(experiment, request["threads"], request["backend"])
                reply: dict[str, Any] = {}
            elif "run" in request:
                assert run is not None, "nothing was built"
                mean, error = run(request["run"])
                reply = {"mean": mean, "standard_error": error}
            else:
                ((name, arguments),) = request.items()
                reply = {"result": others[name](*arguments)}
        except Exception as error:  # whatever a library may raise; the runner reports it
            reply = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        reply["seconds"] = time.perf_counter() - begin
        print(json.dumps(reply), flush=True)
