"""How fast a rule makes progress, exactly: from the moments of its update."""
