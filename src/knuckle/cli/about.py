"""`knuckle about`: what is installed, what it runs on, and whether the weights are those that were published."""

import sys


def about() -> int:
    """Print versions, processor features, ONNX Runtime's providers, weights with their SHA-256, and licences.

    The exit status is 1 where the weights are not those that were published with this version.

    Examples:

        knuckle about
    """
    from rich.console import Console
    from rich.table import Table

    from knuckle.about import environment, packages, shipped_weights

    console = Console(highlight=False, soft_wrap=True)
    for name, value in environment().items():
        console.print(f"{name:12}{value}", markup=False)
    weights = shipped_weights()
    for file in weights:
        found = "as published" if file.genuine else f"NOT as published, {file.published}"
        console.print(f"{file.name:16}{file.sha256} {found}", markup=False)
    table = Table("package", "version", "licence", "for")
    for package in packages():
        table.add_row(package.name, package.version, package.licence, package.extra or "knuckle")
    console.print(table)
    altered = [file.name for file in weights if not file.genuine]
    if altered:
        names = ", ".join(altered)
        print(f"knuckle about: {names} must be as published but differ; install knuckle again", file=sys.stderr)
    return 1 if altered else 0
