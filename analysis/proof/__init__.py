"""The proof checker: relations, the steps between them, and claims made of steps.

Read `steps.py` first, what may count as a step of a proof; then `claim.py`, what is
checked of a claim as a whole; `dependencies.py`, what its steps rest on in the end; and
`grammar.py`, which expressions may be written.
"""
