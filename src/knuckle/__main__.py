"""`python -m knuckle`: the command line, where the `knuckle` of another environment comes first."""

from knuckle.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
