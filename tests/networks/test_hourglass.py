"""The hourglass: its shapes, and where its heatmaps say that something is."""

import pytest
import torch

from knuckle.networks.hourglass import HourglassNetwork, SoftArgmax, expected_place


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("size", "depth"), [(256, 4), (64, 3), (96, 2)])
def test_maps_have_a_quarter_of_the_resolution(size, depth):
    with torch.device("meta"):
        output = HourglassNetwork(21, 32, depth, 1, size)(torch.zeros(3, 3, size, size))
    assert output.features.shape == (3, 32, size // 4, size // 4)
    assert output.heat.shape == (3, 21, size // 4, size // 4)
    assert output.uv.shape == (3, 21, 2)


def test_the_paper_s_widths():
    network = HourglassNetwork(21)
    stem = [
        tuple(layer.weight.shape[:2])
        for layer in network.stem.modules()
        if hasattr(layer, "kernel_size") and hasattr(layer, "weight")
    ]
    assert stem[0] == (64, 3)
    assert network.heat.weight.shape == (21, 256, 1, 1)
    # A bottleneck at every position: three rows a level, and one in the middle.
    rows = [name for name, _ in network.hourglass.named_modules() if name.rsplit(".")[-1] in ("around", "down", "up")]
    assert len(rows) == 3 * 4


def test_a_peak_is_at_the_middle_of_its_cell():
    heat = torch.full((1, 1, 16, 16), -200.0)
    heat[0, 0, 3, 10] = 200.0
    torch.testing.assert_close(64 * expected_place(heat)[0, 0] - 0.5, torch.tensor([4 * 10 + 1.5, 4 * 3 + 1.5]))


def test_a_flat_heatmap_is_in_the_middle_and_each_point_has_a_sharpness_of_its_own():
    expect = SoftArgmax(2)
    with torch.no_grad():
        expect.sharpness.copy_(torch.tensor([0.0, 3.0]))
    logits = torch.zeros(1, 2, 8, 4)
    logits[:, :, 0, 0] = 1.0
    place = expected_place(expect.sharpened(logits))[0]
    torch.testing.assert_close(place[0], torch.tensor([0.5, 0.5]))
    assert (place[1] < 0.4).all()
    assert expect.sharpened(logits.bfloat16()).dtype == torch.float32


def test_the_whole_crop_is_seen_from_every_cell():
    torch.manual_seed(0)
    network = HourglassNetwork(1, 16, 3, 1, 64).eval()
    image = (255 * torch.rand(1, 3, 64, 64)).requires_grad_()
    network(image).heat[0, 0, 0, 0].backward()
    assert image.grad[0].abs().sum(0)[-8:, -8:].max() > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((21, 256, 4, 2, 224), "size must be a multiple of 64 for an hourglass of depth 4 but got 224"),
        ((21, 100, 4, 2, 256), "width a multiple of 8"),
        ((0, 256, 4, 2, 256), "points, depth and blocks must be at least 1"),
    ],
)
def test_what_cannot_be_is_said(arguments, said):
    with pytest.raises(ValueError, match=said):
        HourglassNetwork(*arguments)
