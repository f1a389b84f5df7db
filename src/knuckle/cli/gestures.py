"""`knuckle gestures`: names of what hands do in pictures, and names of one's own."""

from pathlib import Path


def gestures(
    *sources: str,
    use: Path | None = None,
    learn: Path | None = None,
    max_hands: int = 4,
    threads: int = 2,
) -> int:
    """Name the gestures in pictures: the nearest of 100 named poses, or of names learned from examples.

    To learn, give a folder with a folder of pictures for each name, or with pictures called NAME_anything.jpg. Ten for
    each name are good; left and right hands count alike, and how a hand is turned does not matter.

    Examples:

        knuckle gestures photo.jpg

        knuckle gestures examples/ --learn mine.json

        knuckle gestures photos/ --use mine.json

    Parameters
    ----------
    sources
        Pictures, folders or patterns.
    use
        A file of learned names, in place of the 100 poses that `knuckle pose --list` prints.
    learn
        Learn the names of the sources' folders, or of the beginnings of their files' names, and write them to this
        file. In each picture the best hand counts.
    max_hands
        Maximum number of hands in a picture that is named.
    threads
        CPU threads of each network.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import sys

    from knuckle.cli.options import check_max_hands, check_sources
    from knuckle.cli.terminal import one_line
    from knuckle.gestures import Gestures, named_gestures
    from knuckle.predict import Predictor, predict
    from knuckle.predict.sources import PICTURES, expand

    check_sources(sources)
    check_max_hands(max_hands)
    if learn is not None and use is not None:
        raise ValueError("--learn and --use must not come together: one writes names and one reads them; give one")
    known = None if learn else Gestures.load(use) if use else named_gestures()
    predictor = Predictor(threads=threads)
    files, problems = expand([*sources, *(_subfolders(sources) if learn else [])])
    examples: dict[str, list] = {}
    for path in (path for path in files if path.suffix.lower() in PICTURES):
        try:
            hands = predict(path, max_hands=1 if learn else max_hands, predictor=predictor)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            continue
        problems += [] if hands else [f"{path}: shows no hand"]
        for hand in hands:
            if known is None:
                examples.setdefault(_name(path, sources), []).append(hand.angles)
            else:
                print(one_line(f"{path}: {hand.side} hand, {known.name(hand.angles) or 'no known gesture'}"))
    for line in problems:
        print(f"knuckle gestures: {one_line(line)}", file=sys.stderr)
    if learn is not None:
        Gestures.learn(examples).save(learn)
        counts = ", ".join(f"{name} ({len(poses)})" for name, poses in examples.items())
        print(one_line(f"{learn}: {counts}"))
    return 1 if problems else 0


def _subfolders(sources: tuple[str, ...]) -> list[str]:
    """The folders in those that were given, one for each name."""
    return [
        str(path)
        for source in sources
        if Path(source).is_dir()
        for path in sorted(Path(source).iterdir())
        if path.is_dir()
    ]


def _name(path: Path, sources: tuple[str, ...]) -> str:
    """Of a gesture: the folder's in a folder that was given, else the file's up to its first underscore."""
    return path.stem.partition("_")[0] if str(path.parent) in {str(Path(s)) for s in sources} else path.parent.name
