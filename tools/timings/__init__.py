"""The things `make bench` times."""
