"""How the three commands start: what is answered before their modules are read.

Only the standard library is imported here, and the syntax is old, so that a Python
without the packages, or one that is too old for them, gets an answer too.
"""

import codecs
import contextlib
import os
import signal
import sys
import unicodedata
from importlib import import_module
from typing import Any, Callable, NoReturn, Tuple  # noqa: UP035

PACKAGES = ("analysis", "sim", "figures")
OLDEST = (3, 11)
BAD_INPUT = 2
INTERRUPTED = 130
SET_UP = ": run make, or use .venv/bin/python"

# Names of error handlers: what an encoding lacks is spelled, or escaped as in JSON.
SPELLED = "micro_batch_clipping.spelled"
ESCAPED = "micro_batch_clipping.escaped"

# How signs are written on a terminal without them; Greek letters go by their names.
SIGNS = {
    "∇": "grad ",
    "√": "sqrt",
    "‖": "||",
    "∞": "inf",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "±": "+-",
    "·": "*",
    "×": "x",
    "−": "-",
    "–": "-",
    "→": "->",
    "⟨": "<",
    "⟩": ">",
    "∫": "integral ",
    "∂": "d",
    "∈": "in",
    "½": "1/2",
    "ℓ": "l",
    "λ": "lambda",
    "Λ": "Lambda",
    "ḡ": "gbar",
    "ū": "ubar",
    "ȳ": "ybar",
    "\N{COMBINING MACRON}": "bar",
}


def start(package: str) -> NoReturn:
    """Run `python -m PACKAGE`: call `main` of its `__main__` and exit with its code.

    Code 2, with one line on stderr, when Python is too old, a package is missing, or a
    folder of the user's own has the name of one of ours. Ctrl-C while modules are read
    is answered by one line and code 130; from then on it is for `main` to answer.
    (While Python itself starts, some hundredths of a second, nobody can.)
    """
    program = "python -m " + package
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        _refuse(program, "Python 3.11 or newer is needed, this is Python " + version)
    answer_at_once = _interrupt(program)
    prepare_output()
    _forget_the_current_folder()
    from analysis.spec.checking import SpecificationError

    try:
        main = import_module(package + ".__main__").main
        answer_at_once(False)
        code = main()
        if code == INTERRUPTED:
            _end_interrupted()
        answer_at_once(True)
    # an environment variable that is read on import
    except SpecificationError as error:
        _refuse(program, str(error))
    except ImportError as error:
        _refuse(program, obstacle(error))
    sys.exit(code)


def _interrupt(program: str) -> Callable[[bool], None]:
    """Answer Ctrl-C at once, while nothing can be lost; the result switches it.

    An exception might be swallowed by an import, or be raised where Python can only
    print it. A process that was told to ignore Ctrl-C goes on doing so.
    """
    before = signal.getsignal(signal.SIGINT)

    def leave(*_: object) -> None:
        os.write(2, (program + ": interrupted.\n").encode())
        os._exit(INTERRUPTED)

    def switch(on: bool) -> None:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, leave if on else before)

    switch(True)
    return switch


def _end_interrupted() -> NoReturn:
    """End now that everything is printed.

    Python would take seconds to dismantle what was imported, and might still die of the
    signal.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(INTERRUPTED)


def _refuse(program: str, message: str) -> NoReturn:
    """Exit with code 2 and one line on stderr."""
    sys.stderr.write(program + ": " + " ".join(message.split()) + "\n")
    sys.exit(BAD_INPUT)


def obstacle(error: ImportError) -> str:
    """What to do about it, in one line."""
    top = (error.name or "").partition(".")[0]
    if top in PACKAGES:
        where = getattr(sys.modules.get(top), "__file__", None)
        return "another package called {} is in the way ({})".format(top, where)  # noqa: UP032
    if isinstance(error, ModuleNotFoundError) and top:
        return top + " is missing" + SET_UP
    return str(error) + SET_UP


def _forget_the_current_folder() -> None:
    """Keep modules of the current folder out, unless they are this project's.

    `python -m` looks there first, and would find a user's own sim.py in place of ours.
    """
    here = os.path.realpath(os.curdir)
    ours = os.path.realpath(
        os.path.join(os.path.dirname(__file__), os.pardir, os.pardir)
    )
    if here != ours and sys.path and os.path.realpath(sys.path[0]) == here:
        del sys.path[0]


def prepare_output() -> None:
    """Make stdout and stderr exist and take every character, spelled out if need be."""
    codecs.register_error(SPELLED, _handler(spelled))
    codecs.register_error(ESCAPED, _handler(_escaped))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        set_errors(getattr(sys, name), SPELLED)


def set_errors(stream: Any, handler: str) -> None:
    """Use that error handler from now on, if the stream has one."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=handler)


def _handler(spell: Callable[[str], str]) -> Callable[[UnicodeError], Tuple[str, int]]:  # noqa: UP006
    def handle(error: UnicodeError) -> Tuple[str, int]:  # noqa: UP006
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return "".join(map(spell, error.object[error.start : error.end])), error.end

    return handle


def spelled(character: str) -> str:
    """The character in ASCII: sigma for σ, <= for ≤, ^2 for ², or its code."""
    if character in SIGNS:
        return SIGNS[character]
    words = unicodedata.name(character, "").split()
    if words[:1] == ["GREEK"] and len(words) == 4:
        return words[3].lower() if words[1] == "SMALL" else words[3].capitalize()
    form = unicodedata.decomposition(character)
    mark = (
        "^" if form.startswith("<super>") else "_" if form.startswith("<sub>") else ""
    )
    plain = [
        c
        for c in unicodedata.normalize("NFKD", character)
        if not unicodedata.combining(c)
    ]
    if plain and max(plain) < "\x80":
        return mark + "".join(plain)
    if mark and len(plain) == 1:
        return mark + SIGNS.get(plain[0], "?")
    return character.encode("ascii", "backslashreplace").decode()


def _escaped(character: str) -> str:
    """The character as JSON writes it in ASCII."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(
        "\\u{:02x}{:02x}".format(*units[i : i + 2]) for i in range(0, len(units), 2)
    )
