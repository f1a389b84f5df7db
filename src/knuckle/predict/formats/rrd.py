"""A recording for the Rerun viewer, to look around in: picture, skeletons and meshes in space, angles over time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from knuckle.files import atomic_write
from knuckle.predict.output import AddFrame, PictureResult, Target, format_of_frames
from knuckle.skeleton import BONES
from knuckle.view.labels import accent


class _Recording:
    """Writes what is added to a file.

    Args:
        path: of the file.
        target: what hands are posed with.

    Raises:
        ValueError: Rerun is not installed.
    """

    def __init__(self, path: Path, target: Target) -> None:
        try:
            # Here, as it is an extra.
            import rerun
        except ModuleNotFoundError as error:
            if error.name != "rerun":
                raise
            raise ValueError("rrd takes the Rerun viewer; install it with `pip install 'knuckle[show]'`") from None
        self._rerun = rerun
        self._faces = {side: np.asarray(target.model.faces_of(side)) for side in ("left", "right")}
        self._stream = rerun.RecordingStream("knuckle", make_default=False, make_thread_default=False)
        self._stream.save(path)
        # x right, y down, z forward: the camera's frame, that of all else too.
        self._stream.log("/", rerun.ViewCoordinates.RDF, static=True)
        self._shown: set[int] = set()

    def add(self, result: PictureResult) -> None:
        rerun, stream = self._rerun, self._stream
        if result.time is not None:
            stream.set_time("video", duration=result.time)
        camera, size = result.camera.camera, result.image.shape[1::-1]
        # A tenth of a metre before the lens: nearer than the hands.
        pinhole = rerun.Pinhole(image_from_camera=camera.K, resolution=size, image_plane_distance=0.1)
        stream.log("camera", pinhole)
        done, encoded = cv2.imencode(".jpg", result.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        if not done:
            raise ValueError(f"a picture of {size[0]} x {size[1]} pixels could not be encoded; shrink it")
        stream.log("camera", rerun.EncodedImage(contents=encoded.tobytes(), media_type="image/jpeg"))
        numbers = {number if hand.id is None else hand.id: hand for number, hand in enumerate(result.hands)}
        for gone in self._shown - set(numbers):
            stream.log(f"hands/{gone}", rerun.Clear(recursive=True))
        for number, hand in numbers.items():
            place, color = f"hands/{number}", accent(number)
            label = f"{number} {hand.side} {hand.score:.2f}"
            bones = hand.joints_camera[np.array(BONES)]
            stream.log(f"{place}/bones", rerun.LineStrips3D(bones, colors=color, radii=0.0012))
            stream.log(f"{place}/joints", rerun.Points3D(hand.joints_camera, colors=color, radii=0.003))
            stream.log(f"{place}/label", rerun.Points3D(hand.joints_camera[:1], labels=label, radii=0.003))
            if hand.vertices_camera is not None:
                # The colour of the accent, light, and seen through.
                mesh = rerun.Mesh3D(
                    vertex_positions=hand.vertices_camera,
                    triangle_indices=self._faces[hand.side],
                    albedo_factor=[*color, 150],
                )
                stream.log(f"{place}/mesh", mesh)
            for name, angle in hand.angles.items():
                stream.log(f"degrees/{number}/{name}", rerun.Scalars(np.degrees(angle)))
        self._shown = set(numbers)

    def close(self) -> None:
        self._stream.flush()
        self._stream.disconnect()


@contextmanager
def _written(target: Target) -> Iterator[AddFrame]:
    with atomic_write(target.named(".rrd")) as unfinished:
        recording = _Recording(unfinished, target)
        try:
            yield recording.add
        finally:
            recording.close()


RRD = format_of_frames(_written)
