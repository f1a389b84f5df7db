"""Graph networks over hand and object: adjacency, what they begin as, and that negative weights break nothing."""

import pytest
import torch

from knuckle.networks.graph import (
    CORNERS,
    JOINTS,
    LIFTS,
    POINTS,
    ContextGraph,
    GraphUNet,
    LiftGraph,
    PointGraph,
    adjacency,
    normalised,
)
from knuckle.skeleton import BONES, BOX_EDGES


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("count", "edges"), [(JOINTS, BONES), (CORNERS, BOX_EDGES), (POINTS, ())])
def test_the_first_adjacency(count, edges):
    matrix = adjacency(count, edges)
    assert torch.equal(matrix, matrix.T)
    assert int(matrix.sum()) == count + 2 * len(edges)
    eigenvalues = torch.linalg.eigvalsh(normalised(matrix))
    assert float(eigenvalues.abs().max()) <= 1 + 1e-5
    if edges == BOX_EDGES:
        assert matrix.sum(0).tolist() == [4.0] * 8  # itself and three neighbours


def test_the_normalisation_is_the_paper_s():
    """D^-1/2 A D^-1/2, from an implementation in loops."""
    matrix = torch.rand(5, 5) + 0.05
    sums = matrix.sum(0)
    expected = [[float(matrix[i, j] / (sums[i] * sums[j]) ** 0.5) for j in range(5)] for i in range(5)]
    torch.testing.assert_close(normalised(matrix), torch.tensor(expected))


@pytest.mark.parametrize("kind", LIFTS)
def test_negative_weights_are_finite_forward_and_back(kind):
    lift = LiftGraph(kind)
    with torch.no_grad():
        for name, values in lift.named_parameters():
            if "adjacenc" in name:
                values.copy_(torch.randn_like(values) - 0.5)
                values[:, 0] = 0.0
    points = torch.randn(3, POINTS, 2, requires_grad=True)
    found = lift(points)
    found.points.square().sum().backward()
    assert found.points.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in [points, *lift.parameters()])


@pytest.mark.parametrize("kind", LIFTS)
def test_sizes_and_that_examples_are_apart(kind):
    lift = LiftGraph(kind).eval()
    points = torch.randn(4, POINTS, 2)
    found = lift(points)
    assert found.points.shape == found.initial.shape == (4, POINTS, 3)
    order = [2, 0, 3, 1]
    torch.testing.assert_close(lift(points[order]).points, found.points[order])
    torch.testing.assert_close(lift(points[:1]).points, found.points[:1])
    if kind in ("hand", "object"):
        other = found.points[:, JOINTS:] if kind == "hand" else found.points[:, :JOINTS]
        assert not other.any()


def test_what_is_refined_begins_as_it_is_given():
    points = torch.randn(2, POINTS, 3)
    assert torch.equal(ContextGraph().eval()(points), points)
    lift = LiftGraph("context").eval()
    found = lift(torch.randn(2, POINTS, 2))
    assert torch.equal(found.initial, found.points)
    flat, features = torch.randn(2, POINTS, 2), torch.randn(2, 7)
    assert torch.equal(PointGraph(7, residual=True)(flat, features), flat)
    assert not torch.equal(PointGraph(7)(flat, features), flat)


def test_the_merged_graph_can_leave_the_sub_graphs_alone():
    """As in the authors' code, whose two nets are frozen while it learns."""
    for refine_only in (False, True):
        lift = LiftGraph("context", refine_only=refine_only)
        with torch.no_grad():
            lift.context.last.weight.normal_()
        lift(torch.randn(2, POINTS, 2)).points.sum().backward()
        assert (lift.hand.last.weight.grad is None) == refine_only


def test_context_carries_from_the_object_to_the_hand():
    lift = LiftGraph("context").eval()
    with torch.no_grad():
        lift.context.last.weight.normal_()
        for graph in lift.context.adjacencies:
            graph.weight.add_(0.1)
    points = torch.randn(1, POINTS, 2)
    moved = points.clone()
    moved[:, JOINTS:] += 1.0
    one, other = lift(points), lift(moved)
    torch.testing.assert_close(one.initial[:, :JOINTS], other.initial[:, :JOINTS])
    assert not torch.allclose(one.points[:, :JOINTS], other.points[:, :JOINTS], atol=1e-7)


def test_the_u_net_has_the_published_levels():
    net = GraphUNet()
    assert [tuple(pool.weight.shape) for pool in net.pools] == [(15, 29), (7, 15), (4, 7), (2, 4), (1, 2)]
    assert [layer.linear.out_features for layer in net.down] == [4, 8, 16, 32, 64]
    assert [layer.linear.in_features for layer in net.up] == [8, 16, 32, 64, 128]
