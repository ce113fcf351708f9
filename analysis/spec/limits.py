"""How large the numbers of a specification may be."""

from analysis.spec.checking import real

# numbers in the micro-batch gradients of one step: 512 MiB in float64
LARGEST_STEP = 2**26
# of theory: it needs few axes, but rounding errors grow with √d
LARGEST_DIMENSION = 10**9

magnitude = real(0, 1e100)  # squares and their sums stay finite
positive = real(0, open_low=True)
