"""The colours and dashes of all figures: one colour for one thing.

The base colours are those of Okabe and Ito (2008), which colour-blind readers can tell
apart. Lines differ in dashes too, so that they can be told apart in grey. Where a base
colour is too light for text or thin lines, a darker tone of it stands in.
"""

BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#444444"
BLACK = "black"

# What a colour means, in every figure.
ADAPTIVE = BLUE
NORMALIZED = SKY
FIXED = GREEN
SGD = GREY
BOUND = VERMILION
MINIMAX = PURPLE

# Darker tones, for text and error bars in the hue of a line.
NORMALIZED_TEXT = "#2A7FB0"
ORANGE_TEXT = "#B87800"
OCHRE = "#A86F00"
BROWN = "#9A6A00"
RUST = "#8C3A00"

# Shades where several lines or bars belong to one rule.
STEEL = "#1F7FBF"
NAVY = "#12456B"
DEEP_BLUE = "#1F4E79"
PALE_BLUE = "#D6EAF8"
VIOLET = "#5B3A8C"
AMBER = "#C78500"

# A shaded region, and the text in it.
REGION = "0.92"
REGION_TEXT = "0.35"

SOLID = "-"
DASHED = (0, (4, 2))
DOTTED = (0, (1, 1.5))
DASH_DOTTED = "-."
LONG_DASH_DOTTED = (0, (6, 2, 1, 2))
CLOSE_DASH_DOTTED = (0, (6, 1.5, 1, 1.5))
