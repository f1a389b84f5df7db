"""Losses on meshes: by hand on one triangle, masks, and gradients where a length is zero."""

import math

import pytest
import torch

from knuckle.losses.mesh import edge_length_distance, edges_within, faces_within, normal_deviation

FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
# A square of side 3 in the plane z = 1.
SQUARE = torch.tensor([[0.0, 0.0, 1.0], [3.0, 0.0, 1.0], [3.0, 3.0, 1.0], [0.0, 3.0, 1.0]])


def test_the_truth_has_no_loss():
    mesh = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    assert edge_length_distance(mesh, mesh, FACES).abs().max() == 0
    assert normal_deviation(mesh, mesh, FACES).abs().max() < 1e-5


def test_edges_are_compared_by_length():
    """Corner 2 one further out along the diagonal's side: lengths 3, 4, 5 in place of 3, 3, 3 sqrt 2."""
    guess = SQUARE.clone()
    guess[2, 1] = 4.0
    apart = edge_length_distance(guess, SQUARE, FACES)
    torch.testing.assert_close(apart[0], torch.tensor([0.0, 1.0, 5.0 - 3 * math.sqrt(2)]))
    moved = SQUARE @ torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]) + 7.0
    assert edge_length_distance(moved, SQUARE, FACES).abs().max() < 1e-6


def test_edges_are_compared_with_the_true_plane():
    """Corner 2 raised by 3 above its neighbours 3 away: 45 degrees out of the plane, the diagonal 1 / sqrt 3."""
    guess = SQUARE.clone()
    guess[2, 2] += 3.0
    expected = torch.tensor([0.0, math.sqrt(0.5), math.sqrt(1 / 3)])
    torch.testing.assert_close(normal_deviation(guess, SQUARE, FACES)[0], expected)
    # Within its plane, and to any scale, nothing is wrong.
    assert normal_deviation(5 * SQUARE, SQUARE, FACES).abs().max() < 1e-6


@pytest.mark.parametrize("loss", [edge_length_distance, normal_deviation])
def test_coincident_vertices_have_finite_gradients(loss):
    guess = torch.zeros(3, 4, 3, requires_grad=True)
    value = loss(guess, SQUARE.expand(3, 4, 3), FACES)
    value.sum().backward()
    assert value.isfinite().all()
    assert guess.grad is not None
    assert guess.grad.isfinite().all()
    flat = torch.zeros(4, 3)  # a true triangle without area
    assert loss(SQUARE, flat, FACES).isfinite().all()


def test_a_vertex_outside_masks_its_edges_and_triangles():
    inside = torch.tensor([[True, True, True, True], [True, False, True, True]])
    assert faces_within(inside, FACES).tolist() == [[True, True], [False, True]]
    assert edges_within(inside, FACES)[0].all()
    # Of the first triangle the edge from corner 2 to corner 0 alone.
    assert edges_within(inside, FACES)[1].tolist() == [[False, False, True], [True, True, True]]
