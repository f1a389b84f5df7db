"""The options --workers and --ray of the commands that can be spread over processes and machines."""

from knuckle.workers import Workers


def chosen_workers(count: int | None, ray: str | None, *, default: int = 0, cpus: int = 1) -> Workers:
    """Who works.

    Args:
        count: --workers; None where it is not given.
        ray: --ray.
        default: processes without either; 0 for this one.
        cpus: that each keeps busy.

    Raises:
        ValueError: the count is below 1, or above what a machine can use.
    """
    if count is not None and count < 1:
        raise ValueError(f"workers must be at least 1 but got {count}")
    if count is None and ray is None:
        count = default
    return Workers(count, ray, cpus)
