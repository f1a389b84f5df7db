"""The papers whose tables can be run."""

from importlib import import_module

from benchmarks.tables import Paper

# name -> where its `Paper` is
PAPERS = {
    "shipped": "benchmarks.shipped:PAPER",
    "pictures": "benchmarks.pictures:PAPER",
    "s1": "benchmarks.s1:PAPER",
    "s2": "benchmarks.s2:PAPER",
    "s3": "benchmarks.s3:PAPER",
    "s4": "benchmarks.s4:PAPER",
    "s5": "benchmarks.s5:PAPER",
}


def open_paper(name: str) -> Paper:
    """One of PAPERS.

    Raises:
        ValueError: there is none of that name; the message names those there are.
    """
    if name not in PAPERS:
        raise ValueError(f"a paper must be one of {', '.join(PAPERS)} but got {name!r}")
    module, _, attribute = PAPERS[name].partition(":")
    return getattr(import_module(module), attribute)
