"""What may be imported from `analysis` and `analysis.spec` themselves."""

import inspect
import subprocess
import sys

import pytest

import analysis
import analysis.spec

ALL = [(analysis, name) for name in analysis.__all__]
ALL += [(analysis.spec, name) for name in analysis.spec.__all__]


@pytest.mark.parametrize(("package", "name"), ALL)
def test_every_name_is_there_and_explained(package, name):
    value = getattr(package, name)
    assert name in dir(package)
    if callable(value):
        assert inspect.getdoc(value)


def test_no_others():
    with pytest.raises(AttributeError, match="has no attribute 'exact_biases'"):
        _ = analysis.exact_biases


def test_importing_the_package_imports_nothing_heavy():
    """NumPy, SymPy and SciPy come with the first name that needs them."""
    program = (
        "import sys, analysis; print({'numpy', 'sympy', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
