"""The systems: one file each, with its configuration, network, losses, and how its examples are made.

A system is a plain object with the methods of `knuckle.systems.system.System`; the training loop knows no more.
"""
