"""Papers' tables, run again with knuckle: `python -m benchmarks --help`. CONTRIBUTING.md says how to add one."""
