"""Hostile input for every reader of outside bytes: `make fuzz`, and a short run in the tests.

    PYTHONPATH=tests python -m fuzz --inputs 100000

`targets`, `of_sets` and `of_models` name the readers and their seeds, `mutate` damages seeds, `cases` has every past
failure by name, and `limits` runs readers in processes of their own and measures time, memory and what they do.
"""
