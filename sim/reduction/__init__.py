"""From samples to compositions: a micro-batch's mean drawn at once."""
