"""python -m analysis: inspect, check and evaluate the theory."""

import sys

if __name__ == "__main__":  # before the other imports, which take a while and may fail
    from analysis.cli.entry import start

    start("analysis")

from collections.abc import Sequence

from analysis.cli import (
    bias,
    claims,
    common,
    efficiency,
    enough,
    horizon,
    learning_curve,
    schedule,
    speed,
    sweet_spot,
    threshold,
)

DESCRIPTION = """\
Symbolic bounds and exact bias of SGD with micro-batch clipping.

example: python -m analysis sweet-spot --dragger-fraction 0.01 --batch-size 256"""


def parser() -> common.Parser:
    """The command's parser."""
    top = common.Parser(prog="python -m analysis", description=DESCRIPTION)
    commands = top.add_subparsers()
    claims.add(commands)
    for module in (
        *(sweet_spot, bias, efficiency, speed, learning_curve),
        *(horizon, schedule, threshold, enough),
    ):
        module.add(commands)
    claims.add_pages(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return common.run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
