"""`knuckle person`: a person's hand measured from pictures."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def person(
    *sources: str,
    out: Path,
    length: Annotated[float | None, Parameter(name="--length")] = None,
    camera: Path | None = None,
    threads: int = 2,
) -> int:
    """Measure the shape of one person's hand from a few pictures, for `knuckle predict --person`.

    In every picture the best hand is taken. Left and right hands may be mixed: people's are nearly mirror images.

    Examples:

        knuckle person me/*.jpg --out hand.json --length 18.6

        knuckle predict clip.mp4 --out hands --person hand.json

    Parameters
    ----------
    sources
        Pictures, folders, or patterns; five to twenty pictures in different poses, open hands among them.
    out
        The file to write.
    length
        Centimetres from the middle of the wrist to the tip of the stretched middle finger. Without it the size stays
        an average adult's, and with it the distance from the camera.
    camera
        JSON file with the camera's intrinsics in pixels, as for `knuckle predict`.
    threads
        CPU threads of each network.
    """
    # Here, so that `knuckle --help` does not wait for OpenCV and ONNX Runtime.
    import sys

    from knuckle.cli.options import check_sources
    from knuckle.cli.terminal import one_line
    from knuckle.image.read import PictureError, decode_picture, picture_bytes
    from knuckle.predict import Predictor
    from knuckle.predict.cameras import camera_of, read_camera
    from knuckle.predict.person import measure_shape, write_person
    from knuckle.predict.sources import VIDEOS, expand

    check_sources(sources)
    K = None if camera is None else read_camera(camera)
    predictor = Predictor(threads=threads)
    files, problems = expand(list(sources))
    hands = []
    for path in files:
        try:
            if path.suffix.lower() in VIDEOS:
                raise PictureError("is a video; save some of its frames as pictures")
            data = picture_bytes(path)
            image = decode_picture(data)
            found = predictor(
                image, camera_of((image.shape[1], image.shape[0]), data, K, 0.0).camera, 1, check_channels=False
            )
        except (PictureError, OSError, ValueError) as error:
            problems.append(str(error) if str(path) in str(error) else f"{path}: {error}")
            continue
        hands += found
        problems += [] if found else [f"{path}: shows no hand"]
    for line in problems:
        print(f"knuckle person: {one_line(line)}", file=sys.stderr)
    shape = measure_shape(predictor.model, hands, None if length is None else length / 100)
    write_person(out, predictor.model, shape)
    print(f"{out}: the shape of {len(hands)} hands")
    return 1 if problems else 0
