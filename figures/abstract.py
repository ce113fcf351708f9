"""What the paper's abstract says, in other words, and which figures speak about it.

The one place where sentences and figures meet: the report and its tests read it here.
"""

from typing import NamedTuple


class Sentence(NamedTuple):
    """A sentence of the abstract reworded, what is shown of it, by which figures."""

    says: str
    here: str
    figures: tuple[str, ...]


PAPER = "https://arxiv.org/abs/2408.16204"

SENTENCES = (
    Sentence(
        "Micro-batch clipping has improved speech recognition, nobody knew why, and "
        "only some micro-batch sizes were any good.",
        "A small model that behaves like this, and the size that is best in it.",
        ("sweet_spot", "bias_map"),
    ),
    Sentence(
        (
            "Assume that some training samples hinder convergence, if only in some "
            "phases of training."
        ),
        (
            "Draggers of every strength, draggers that come and go, and a "
            "size for each phase."
        ),
        ("dragger_strength", "schedule", "phases"),
    ),
    Sentence(
        "Then clipping can converge faster in the long run, at the price of a constant "
        "bias that more iterations do not remove.",
        "Two guarantees and the runs behind them; the size with the best guarantee for "
        "a run of given length; how much of the bias is real; what a finite step adds "
        "to it; noise without a variance; the whole learning curve.",
        (
            *("rates", "tightness", "finite_step", "horizon"),
            *("heavy_tails", "learning_curves"),
        ),
    ),
    Sentence(
        "The bias depends on a few quantities and is smallest at a particular "
        "micro-batch size: hence the sweet spot.",
        "The bias as a function of these quantities, and three sweet spots: the sizes "
        "with the smallest guaranteed bias, with the smallest bias for the data at "
        "hand, and with the fastest training.",
        ("sweet_spot", "bias_map", "three_laws", "dimension", "speed"),
    ),
    Sentence(
        "Experiments with vision and language models also gain.",
        "These experiments are not repeated here. Synthetic regression, classification "
        "and a small network take their place.",
        ("learning_problems",),
    ),
    Sentence(
        "Clipping does less good when the data come from several distinct domains.",
        (
            "Micro-batches that mix the domains, and micro-batches that "
            "hold one domain each."
        ),
        ("domains",),
    ),
)
BEYOND = Sentence(
    "Beyond the abstract.",
    "What Algorithm 1 computes, a rule that does better when it knows the noise, and "
    "what happens when clipping and averaging change places.",
    ("score_function", "threshold", "clip_order"),
)
