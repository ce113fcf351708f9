"""The assumptions that several claims share, worded once."""

BOUNDED = "(A1) f ≥ f*"
SMOOTH = "(A2) f is L-smooth"
IID = "(A3) the samples of a mini-batch are i.i.d., each a dragger with probability ε"
FRESH = (
    "(A0) every mini-batch is drawn afresh, independently of the past: given w_t its samples have "
    "the law that is assumed (false for samples that are used again, as in several epochs)"
)
NOISE = (
    "benign noise: given w, and given that the sample is benign, E ξ = 0 and E‖ξ‖² ≤ σ², the total "
    "over the coordinates"
)
