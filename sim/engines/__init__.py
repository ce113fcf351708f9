"""Engines that simulate an experiment; one per way of drawing its gradients."""
