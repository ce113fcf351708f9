"""A benchmark program as a process: one JSON request a line, one JSON reply."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from analysis.spec.experiment import Experiment

# mean of ‖w‖ and its standard error [points]
Statistics = tuple[list[float], list[float]]


class Program(NamedTuple):
    """A job ready to run: the statistics from a seed, and the kind of device."""

    run: Callable[[int], Statistics]
    device: str = "cpu"


Build = Callable[[Experiment, int, str], Program]  # experiment, threads, backend


def serve(build: Build, **others: Callable[..., Any]) -> None:
    """Answer requests on stdin until it ends.

    {"build": experiment, "threads": n, "backend": name} builds and compiles the job,
    and answers {"seconds", "device"}. {"run": seed} runs it: {"seconds", "mean",
    "standard_error"}. {"NAME": arguments} calls one of `others`: {"result"}. What fails
    is answered {"error"}.
    """
    program: Program | None = None
    for line in sys.stdin:
        request = json.loads(line)
        begin = time.perf_counter()
        try:
            if "build" in request:
                experiment = Experiment.from_mapping(request["build"])
                program = build(experiment, request["threads"], request["backend"])
                reply: dict[str, Any] = {"device": program.device}
            elif "run" in request:
                assert program is not None, "nothing was built"
                mean, error = program.run(request["run"])
                reply = {"mean": mean, "standard_error": error}
            else:
                ((name, arguments),) = request.items()
                reply = {"result": others[name](*arguments)}
        # whatever a library may raise; the runner reports it
        except Exception as error:
            reply = {
                "error": " ".join(f"{type(error).__name__}: {error}".split())[:300]
            }
        reply["seconds"] = time.perf_counter() - begin
        print(json.dumps(reply), flush=True)
