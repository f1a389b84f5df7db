"""The parts of the object-aware network: what its code decides, and crops within crops."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from knuckle.networks.categories import Categories
from knuckle.networks.mask_crop import (
    cut_square,
    into_square,
    largest_piece,
    out_of_square,
    square_of_mask,
    square_of_points,
)
from knuckle.networks.object_aware import ObjectAwareNetwork, ObjectAwareSizes, placed
from knuckle.networks.pose_prior import PosePrior, Viewpoint
from knuckle.networks.variational import GaussianLatent, MaskDecoder, sampled
from knuckle.networks.zimmermann import PoseNet, StackedHourglass

RIGHT = torch.tensor([[0.0, 1.0]])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_pose_is_decoded_from_the_code_unless_it_is_bypassed():
    maps = torch.rand(1, 21, 32, 32)
    for bypass in (False, True):
        prior = PosePrior(16, bypass, 0.25).eval()
        one, other = (prior(maps, RIGHT, torch.Generator().manual_seed(seed)).canonical for seed in (0, 1))
        assert torch.equal(one, other) == bypass
        # In the source's published code nothing reaches the pose from the code's layers.
        prior(maps, RIGHT).canonical.sum().backward()
        assert all((p.grad is None) == bypass for p in prior.latent.mean.parameters())
    code = torch.randn(2, 16)
    prior = PosePrior(16, False, 0.25).eval()
    assert not torch.equal(*prior.decode(code, RIGHT.expand(2, 2)).unbind(0))
    # The side is known to both networks.
    view = Viewpoint(0.25).eval()
    left = RIGHT.flip(1)
    assert not torch.equal(prior(maps, RIGHT).canonical, prior(maps, left).canonical)
    assert not torch.equal(view(maps, RIGHT), view(maps, left))


def test_codes_are_their_means_without_a_generator():
    latent = GaussianLatent(8, 4)
    mean, log_variance = latent(torch.randn(2, 8))
    assert torch.equal(sampled(mean, log_variance, None), mean)
    draws = torch.stack([sampled(mean, log_variance, torch.Generator().manual_seed(i)) for i in range(800)])
    torch.testing.assert_close(draws.mean(0), mean, atol=0.2, rtol=0)
    torch.testing.assert_close(draws.std(0), (0.5 * log_variance).exp(), atol=0.2, rtol=0)
    _, large = latent(1e6 * torch.randn(2, 8))
    assert large.exp().isfinite().all()


def test_dropout_is_active_in_training_and_in_training_alone():
    maps = torch.rand(1, 21, 32, 32)
    for network in (PosePrior(0, False, 0.25), Viewpoint(0.25)):
        for training in (True, False):
            network.train(training)
            one, other = (network(maps, RIGHT) for _ in range(2))
            one, other = (getattr(output, "canonical", output) for output in (one, other))
            assert torch.equal(one, other) != training


def test_viewpoints_are_rotations_and_those_of_no_turn_have_a_gradient():
    view = Viewpoint(0.25).eval()
    rotation = view(torch.rand(2, 21, 32, 32), RIGHT.expand(2, 2))
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(2))
    torch.nn.init.zeros_(view.last.weight)
    torch.nn.init.zeros_(view.last.bias)
    rotation = view(torch.rand(2, 21, 32, 32), RIGHT.expand(2, 2))
    torch.testing.assert_close(rotation, torch.eye(3).expand(2, 3, 3))
    rotation.sum().backward()
    assert view.last.weight.grad.isfinite().all()


def test_masks_have_the_size_of_the_crop_and_change_with_the_code():
    decoder = MaskDecoder(4, 64, 16)
    masks = decoder(torch.randn(2, 4)).sigmoid()
    assert masks.shape == (2, 64, 64)
    assert ((masks >= 0) & (masks <= 1)).all()
    assert not torch.equal(masks[0], masks[1])
    with pytest.raises(ValueError, match="8 times a power of 2"):
        MaskDecoder(4, 96)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("kind", [PoseNet, StackedHourglass])
def test_maps_have_32_cells(kind, size):
    maps = kind(size, 0.0625)(torch.rand(2, 3, size, size) - 0.5)
    assert len(maps) == (3 if kind is PoseNet else 2)
    assert all(stage.shape == (2, 21, 32, 32) for stage in maps)


def test_parts_that_nobody_asks_for_are_not_built():
    names = {
        parts: {name.split(".")[0] for name in ObjectAwareNetwork(ObjectAwareSizes(parts, 64, 0.0625)).state_dict()}
        for parts in (("masks", "joints"), ("lift",))
    }
    assert names == {("masks", "joints"): {"masks", "joints"}, ("lift",): {"lift"}}
    with pytest.raises(ValueError, match="parts must be of masks, joints and lift but got legs"):
        ObjectAwareNetwork(ObjectAwareSizes(("legs",)))


def test_the_largest_piece_is_what_scipy_labels(rng):
    masks = rng.random((4, 32, 32)) < np.array([0.1, 0.3, 0.45, 0.0])[:, None, None]
    found = largest_piece(torch.from_numpy(masks), steps=400).numpy()
    for mask, piece in zip(masks, found, strict=True):
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=2)[1:]
        assert piece.sum() == (sizes.max() if count else 0)
        assert not (piece & ~mask).any()


def test_the_square_is_around_the_largest_piece():
    probability = torch.zeros(2, 128, 128)
    probability[0, 40:80, 60:84] = 0.9
    probability[0, :12, :12] = 1.0
    u, v, side = square_of_mask(probability)[0].tolist()
    assert (u, v, side) == pytest.approx((71.5, 59.5, 50.0))
    assert square_of_mask(probability)[1].tolist() == [63.5, 63.5, 128.0], "the whole crop where nothing is found"
    uv = torch.tensor([[[10.0, 20.0], [50.0, 100.0], [torch.nan, torch.nan]]])
    torch.testing.assert_close(square_of_points(uv, 128), torch.tensor([[30.0, 60.0, 112.0]]))
    assert square_of_points(uv * torch.nan, 128)[0].tolist() == [63.5, 63.5, 128.0]


def test_what_a_square_shows_lies_where_its_points_are_said_to():
    picture = torch.zeros(1, 1, 128, 128)
    picture[0, 0, 70, 40] = 1.0
    square, uv = torch.tensor([[44.0, 66.0, 32.0]]), torch.tensor([[[40.0, 70.0]]])
    inner = into_square(uv, square, 128)
    torch.testing.assert_close(out_of_square(inner, square, 128), uv)
    shown = cut_square(picture, square, 128)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    centre = [float((shown * grid).sum() / shown.sum()) for grid in (columns, rows)]
    assert centre == pytest.approx(inner[0, 0].tolist(), abs=0.05)
    assert torch.equal(cut_square(picture, torch.tensor([[63.5, 63.5, 128.0]]), 128), picture)


def test_a_hand_is_put_where_its_joints_are_seen(rng):
    K = torch.tensor([[[200.0, 0.0, 60.0], [0.0, 210.0, 70.0], [0.0, 0.0, 1.0]]])
    joints = torch.from_numpy(rng.normal([0.5, -0.4, 12.0], 0.9, (1, 21, 3))).float()
    homogeneous = joints @ K.transpose(1, 2)
    uv = homogeneous[..., :2] / homogeneous[..., 2:]
    weights = torch.rand(1, 21)
    found = placed(joints - joints[:, :1], uv, weights, K)
    torch.testing.assert_close(found, joints, atol=2e-3, rtol=0)
    # Joints that nobody sees do not count.
    wrong = torch.where(torch.arange(21)[:, None] < 5, uv + 40, uv)
    weights[:, :5] = 0
    torch.testing.assert_close(placed(joints - joints[:, :1], wrong, weights, K), joints, atol=2e-3, rtol=0)
    nowhere = placed(joints - joints[:, :1], torch.zeros_like(uv), weights, K)
    assert nowhere.isfinite().all()
    assert float(nowhere[..., 2].min()) >= 1.99


@pytest.mark.parametrize("clusters", [0, 6])
def test_categories_of_codes_are_those_of_the_nearest_centre(clusters):
    places = 3 * torch.randn(3, 8)
    categories = Categories(3, 8, clusters)
    if clusters:
        categories.centres.data = torch.cat([places, places + 0.5])
    number = torch.arange(3).repeat(10)
    for _ in range(80):
        categories.count(places[number] + 0.1 * torch.randn(30, 8), torch.where(torch.rand(30) < 0.2, -1, number))
    found = categories(places + 0.1)
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    assert found.argmax(1).tolist() == [0, 1, 2]
