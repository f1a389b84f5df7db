"""I2L-MeshNet and its light versions: sizes and costs as published, and shapes that follow from the arguments."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from knuckle.networks.backbone import SectionedBackbone, open_backbone
from knuckle.networks.lixel import (
    Decoder,
    DepthwiseTransposed,
    LixelHead,
    LixelNetwork,
    SqueezeExcitation,
    joint_volume,
    upsampling,
)
from tools.measure_costs import ROWS, costs_by_part, layer_cost, open_network, parts_table, rows_table


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_original_has_the_published_size_and_cost():
    network = open_network(ROWS[0])
    assert parameters(network) == 136_625_053
    products = {part: cost.products for part, cost in costs_by_part(network).items()}
    assert products["pose_head"] == 7_550_779_392
    assert products["mesh_head"] == 7_587_987_456
    assert products["aggregation"] == 3_321_888_768
    # As flops-counter.pytorch prints it.
    totals = {part: round(cost.total / 1e9, 2) for part, cost in costs_by_part(network).items()}
    assert totals == {
        "pose_backbone": 5.38,
        "pose_head": 7.55,
        "aggregation": 3.32,
        "mesh_backbone": 5.22,
        "mesh_head": 7.59,
    }


def test_the_light_versions_have_about_the_published_sizes():
    for row in ROWS[2:]:
        assert parameters(open_network(row)) / 1e6 == pytest.approx(row.parameters, abs=0.02)
    # The published 66.65 is a million more than its parts add up to.
    assert parameters(open_network(ROWS[1])) / 1e6 == pytest.approx(65.65, abs=0.01)
    with torch.device("meta"):
        assert parameters(open_backbone("efficientnet_b0")) == 4_007_548


def test_all_versions_have_about_the_published_costs():
    for row, tolerance in zip(ROWS, (0.001, 0.001, 0.025, 0.025, 0.025), strict=True):
        total = sum(cost.total for cost in costs_by_part(open_network(row)).values())
        assert total / 1e9 == pytest.approx(row.macs, rel=tolerance)


def test_the_documented_tables_are_those_of_the_tool():
    page = (Path(__file__).parents[2] / "docs" / "mesh.md").read_text()
    assert parts_table() in page
    assert rows_table() in page


def test_products_are_counted_by_hand():
    conv = nn.Conv2d(3, 8, 3, padding=1)
    assert layer_cost(conv, torch.zeros(1, 3, 4, 6), torch.zeros(1, 8, 4, 6)).products == 3 * 8 * 9 * 24
    depthwise = nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8, bias=False)
    cost = layer_cost(depthwise, torch.zeros(1, 8, 4, 4), torch.zeros(1, 8, 8, 8))
    assert (cost.products, cost.elementwise) == (8 * 16 * 64, 0)
    assert layer_cost(nn.Linear(5, 7), torch.zeros(1, 5), torch.zeros(1, 7)).products == 35


@pytest.mark.parametrize("decoder", get_args(Decoder))
@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv2_035"])
def test_any_backbone_size_and_number_of_vertices(backbone, decoder):
    network = LixelNetwork(17, backbone, decoder, size=64).train()
    # One example too: a thread's part of a small batch.
    for batch in (1, 3):
        image = torch.randint(0, 256, (batch, 3, 64, 64), dtype=torch.uint8)
        output = network(image)
        assert output.joints.shape == (batch, 21, 3)
        assert output.vertices.shape == (batch, 17, 3)
        # All points begin near the middle of 16 bins.
        assert (output.vertices - 7.5).abs().max() < 4
    (output.joints.sum() + output.vertices.sum()).backward()
    # What lies before the entrance into the second backbone belongs to it all the same.
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith("mesh_backbone.early")


def test_maps_of_the_mesh_are_twice_as_fine_where_the_aggregation_doubles_the_resolution():
    image = torch.zeros(1, 3, 64, 64)
    for decoder, fine, side in (("C", True, 32), ("C", False, 16), ("original", True, 16)):
        network = LixelNetwork(5, "resnet10t", decoder, size=64, fine_mesh=fine).eval()
        seen: list[tuple[int, ...]] = []
        network.mesh_head.upsampled.register_forward_hook(lambda m, given, maps, seen=seen: seen.append(maps.shape))
        assert network(image).vertices.shape == (1, 5, 3)
        assert seen == [(1, 256, side, side)]


def test_the_mesh_does_not_teach_the_joints():
    """The volume of joints passes no gradient, the early features do."""
    network = LixelNetwork(5, "resnet10t", size=64).train()
    network(torch.zeros(2, 3, 64, 64)).vertices.sum().backward()
    assert all(parameter.grad is None for parameter in network.pose_head.parameters())
    assert all(parameter.grad is None for parameter in network.pose_backbone.late.parameters())
    assert all(parameter.grad is not None for parameter in network.pose_backbone.early.parameters())


def test_a_head_reads_its_heatmaps():
    head = LixelHead(4, 2, 8, "C").eval()
    for parameter in (*head.x.parameters(), *head.y.parameters(), *head.z.parameters()):
        nn.init.zeros_(parameter)
    # With flat heatmaps every coordinate is in the middle; shapes are not square only in between.
    torch.testing.assert_close(head(torch.randn(3, 4, 1, 1)), torch.full((3, 2, 3), 3.5))
    # Maps twice as fine as the bins: a peak in the middle of bins 2 and 5.
    maps = torch.zeros(1, 256, 16, 16)
    maps[0, 0, 4, 10] = 8e4
    head.upsampled = nn.Identity()  # the maps themselves
    with torch.no_grad():
        head.x.weight[:, 0] = head.y.weight[:, 0] = 1.0
    head.deep = nn.Sequential(nn.Flatten(), _Constant(256 * 8))
    torch.testing.assert_close(head(maps), torch.tensor([5.0, 2.0, 3.5]).expand(1, 2, 3))


class _Constant(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x), self.count)


def test_the_volume_has_its_peak_at_the_joint():
    joints = torch.tensor([[[1.0, 2.0, 3.0], [6.0, 5.0, 0.0]]])
    volume = joint_volume(joints, 8, 1.5).view(1, 2, 8, 8, 8)
    assert volume[0, 0, 3, 2, 1] == 1.0
    assert volume[0, 1, 0, 5, 6] == 1.0
    assert volume[0, 0, 3, 2, 2] == pytest.approx(torch.exp(torch.tensor(-0.5 / 1.5**2)).item())
    assert float(volume.max()) == 1.0


@pytest.mark.parametrize("decoder", get_args(Decoder))
def test_upsampling_doubles_the_resolution(decoder):
    layers = upsampling(6, 4, decoder).eval()
    assert layers(torch.randn(2, 6, 3, 5)).shape == (2, 4, 6, 10)
    squeezed = any(isinstance(module, SqueezeExcitation) for module in layers)
    assert squeezed == (decoder in ("B", "C"))
    # C has a pointwise convolution only where the number of channels changes.
    same = upsampling(4, 4, decoder)
    assert any(isinstance(module, nn.Sequential) for module in same) == (decoder in ("A", "B"))


def test_a_backbone_in_sections_is_the_whole_one():
    for name in ("resnet10t", "mobilenetv2_035"):
        torch.manual_seed(0)
        whole = open_backbone(name).eval()
        torch.manual_seed(0)
        sections = SectionedBackbone(name).eval()
        image = torch.randn(1, 3, 64, 64)
        early, features = sections(image)
        assert early.shape == (1, sections.early_channels, 16, 16)
        torch.testing.assert_close(features, whole.forward_features(image))


def test_what_cannot_be_is_said_in_a_line():
    with pytest.raises(ValueError, match="must be a ResNet or an EfficientNet of timm but convnext_atto is a ConvNeXt"):
        SectionedBackbone("convnext_atto")
    with pytest.raises(ValueError, match=r"backbone must be one of timm's, such as .*but got 'resnet5'"):
        LixelNetwork(5, "resnet5")
    with pytest.raises(ValueError, match=r"size a multiple of 32, but got 5, 2\.5, 100"):
        LixelNetwork(5, "resnet10t", size=100)
    with pytest.raises(ValueError, match="must have pretrained weights but resnet50t has none"):
        LixelNetwork(5, "resnet50t", pretrained=True)


def test_the_depthwise_layer_is_the_same_in_parts():
    """On a CPU in bfloat16 it is computed in another way."""
    torch.manual_seed(0)
    layer = DepthwiseTransposed(6)
    x = torch.randn(2, 6, 5, 7, requires_grad=True)
    whole = nn.ConvTranspose2d.forward(layer, x)
    (given,) = torch.autograd.grad(whole.square().sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        parts = layer(x)
        (given_parts,) = torch.autograd.grad(parts.float().square().sum(), x)
    assert parts.dtype == torch.bfloat16
    torch.testing.assert_close(parts.float(), whole, atol=0.02, rtol=0.02)
    torch.testing.assert_close(given_parts, given, atol=0.1, rtol=0.05)


def test_all_but_the_decoder_is_taken_over():
    torch.manual_seed(0)
    start = LixelNetwork(50, "resnet10t", "C", 64, fine_mesh=False)
    weights = start.state_dict()
    for decoder in ("A", "C"):
        network = LixelNetwork(50, "resnet10t", decoder, 64, fine_mesh=False)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        network.begin_with(weights)
        for name, value in network.state_dict().items():
            expected = before[name] if ".upsampled." in name else weights[name]
            torch.testing.assert_close(value, expected)
    with pytest.raises(ValueError, match="must be of the same backbone, size and mesh"):
        LixelNetwork(40, "resnet10t", "C", 64, fine_mesh=False).begin_with(weights)
