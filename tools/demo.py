"""What `make demo` runs."""

from knuckle import __version__

print(f"knuckle {__version__}")
