"""A document of a figure as it should be, for tests that put something else into it."""

RUN = {
    "measure": "bias",
    "replicates": 8,
    "iterations": 100,
    "steps": [0.2, 1],
    "seed": 1,
}
CHECK = {"id": "i", "statement": "a", "expected": "b", "found": "c", "passed": True}


def sample_document(name, claims):
    """Every entry that a document has, as plain JSON data."""
    experiment = {
        "name": "a run",
        "specification": {"run": RUN, "algorithm": {"rule": "adaptive"}},
        "results": {"1": "0123456789ab"},
    }
    return {
        "name": name,
        "title": "A title",
        "caption": "A finding.\nSetting: a caption.",
        "notes": ["A note."],
        "alt": "A picture.",
        "claims": claims,
        "checks": [CHECK],
        "data": {"x": 1.0, "text": "text"},
        "provenance": {
            "command": f"python -m figures {name}",
            "version": "0",
            "python": "3",
            "packages": {"numpy": "2"},
            "experiments": [experiment],
        },
    }
