"""Running an experiment: sizes one after the other, kept, interrupted, resumed."""
