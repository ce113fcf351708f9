"""Where a rule comes to rest: exact values, no Monte-Carlo."""
