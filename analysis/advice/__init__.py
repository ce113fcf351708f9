"""From numbers or recorded gradients to a micro-batch size and its guarantee."""
