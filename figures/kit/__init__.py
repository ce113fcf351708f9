"""What the figures share, so that each of them only says what is its own.

`worlds` has models that several figures use, `profiles` the two sizes of a run,
`points` simulated values beside theoretical ones, `checks` the assertions behind a
caption, `captions` its text, `palette` colours and dashes, `panels` axes, points with
error bars and labels.
"""
