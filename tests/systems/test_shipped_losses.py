"""Losses of the shipped hand network on hands with and without labels in space."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from knuckle.camera import Camera
from knuckle.handmodel import HandModel, named_pose, pose_names
from knuckle.networks.hand import HandOutput
from knuckle.predict.place import to_sight
from knuckle.sample import Sample, collate
from knuckle.systems.shipped import Shipped
from knuckle.systems.system import Moment

MODEL = HandModel.open()
SIZE = 128
RANGES = ("bone_ranges", "palm_ranges", "angle_ranges")


def hands(count=12) -> list[Sample]:
    """Right and left hands of the model, in crops at the side of the picture: their cameras are oblique."""
    samples = []
    for number, name in enumerate(pose_names()[:count]):
        side = ("right", "left")[number % 2]
        T = np.eye(4)
        T[:3, 3] = 0.05 * (number % 3), -0.04, 0.45
        joints = np.asarray(MODEL.joints(named_pose(name), T_camera_hand=T, side=side))
        camera = Camera.from_fov((640, 480), 1.0)
        uv = camera.project(joints)
        crop = camera.crop_around((uv.min(0) + uv.max(0)) / 2, 1.3 * float(np.ptp(uv, axis=0).max()), (SIZE, SIZE))
        # The crop is a picture of its own from here on; its camera's frame is rotated against the picture's.
        seen = Sample(side=side, joints_camera=joints, joints_image=uv, camera=camera).seen_by(crop, lambda *a: None)
        samples.append(replace(seen, image=np.zeros((SIZE, SIZE, 3), np.uint8)))
    return samples


def truth_as_output(batch) -> HandOutput:
    sighted = to_sight(batch.camera.K, batch.joints_camera) + torch.tensor([0.5, 0.5, 0.0])
    joints = (sighted / SIZE).float().requires_grad_()
    count = len(batch)
    return HandOutput(
        torch.zeros(count, 21, 16, 16),
        joints.detach(),
        joints,
        torch.full((count, 21), -3.0),
        torch.zeros(count),
        torch.zeros(count),
    )


def losses_of(output, batch):
    system = Shipped()
    return system.losses(output, batch, Moment(0, 0.0, system.stages[0], torch.Generator()))


def test_possible_hands_of_both_sides_are_within_the_limits():
    batch = collate(hands())
    losses = losses_of(truth_as_output(batch), batch)
    for name in RANGES:
        assert float(losses[name].value.detach()) == pytest.approx(0.0, abs=1e-4), name
        assert float(losses[name].weight) == len(batch)


def test_a_hand_mirrored_in_depth_is_outside_them_and_is_led_back():
    """What joints in the picture alone cannot tell apart: fingers bent towards the camera or away from it."""
    known = hands()
    batch = collate([replace(hand, joints_camera=None) for hand in known])
    output = truth_as_output(collate(known))
    turned = (output.joints.detach() * torch.tensor([1.0, 1.0, -1.0])).requires_grad_()
    losses = losses_of(output._replace(joints=turned), batch)
    assert float(losses["joints"].value.detach()) == pytest.approx(0.0, abs=1e-5)
    beyond = sum(losses[name].value for name in RANGES)
    assert float(beyond.detach()) > 0.02
    (gradient,) = torch.autograd.grad(beyond, turned)
    assert torch.isfinite(gradient).all()
    smaller = turned.detach() - 1e-3 * gradient / gradient.norm()
    again = losses_of(output._replace(joints=smaller), batch)
    assert sum(float(again[name].value) for name in RANGES) < float(beyond.detach())


def test_hands_without_a_side_and_places_without_a_hand_have_no_limits():
    known = hands(4)
    output = truth_as_output(collate(known))
    labels = [known[0], replace(known[1], side=None), Sample(image=known[2].image, camera=known[2].camera), known[3]]
    losses = losses_of(output, collate(labels))
    assert [float(losses[name].weight) for name in RANGES] == [2.0, 2.0, 2.0]
