"""From an ordinary photograph to 3D hands a program can use."""

__version__ = "0.1.0"
