"""Learnable joint groups: the selector's distribution, which branch learns from which joint, and how fusion begins."""

import pytest
import torch

from knuckle.networks.joint_groups import Fusion, GroupBranch, JointGroupsNetwork, Selector


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads take longer for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def selector(groups=3, joints=21, seed=0):
    made = Selector(joints, groups)
    with torch.no_grad():
        made.logits.copy_(torch.randn(joints * groups, generator=dice(seed)))
    return made


def network(groups=3, fuse=False, seed=0):
    torch.manual_seed(seed)
    return JointGroupsNetwork(groups, fuse, planes=8, width=16, depth=2, blocks=1, size=32)


def pictures(count=2, seed=1):
    return torch.randint(0, 256, (count, 3, 32, 32), generator=dice(seed))


@pytest.mark.parametrize("temperature", [5.0, 1.0, 0.1])
def test_rows_of_a_sample_sum_to_one_and_have_finite_slopes(temperature):
    made = selector()
    for seed in range(20):
        sample = made.sample(temperature, dice(seed))
        assert sample.shape == (21, 3)
        torch.testing.assert_close(sample.sum(-1), torch.ones(21))
        made.zero_grad()
        (sample * torch.arange(3.0)).sum().backward()
        assert made.logits.grad.isfinite().all()
    assert made.logits.grad.abs().max() > 0


def test_low_temperatures_choose_and_high_ones_do_not():
    made = selector()
    cold, hot = made.sample(1e-4, dice()), made.sample(1e6, dice())
    torch.testing.assert_close(cold, torch.nn.functional.one_hot(cold.argmax(-1), 3).float())
    torch.testing.assert_close(hot, torch.full((21, 3), 1 / 3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("temperature", [5.0, 0.1])
def test_a_group_is_largest_as_often_as_it_is_probable(temperature):
    """The Gumbel-max trick, at any temperature. As Eq. 8 is printed the temperature would cancel."""
    made, generator = selector(joints=4), dice(7)
    count = 4000
    with torch.no_grad():
        largest = torch.stack([made.sample(temperature, generator).argmax(-1) for _ in range(count)])
        frequency = torch.nn.functional.one_hot(largest, 3).float().mean(0)
    # Three standard deviations of a frequency of a half.
    torch.testing.assert_close(frequency, made.probabilities().detach(), atol=3 * 0.5 / count**0.5, rtol=0)


def test_the_same_generator_gives_the_same_groups():
    made = selector()
    assert torch.equal(made.sample(1.0, dice(3)), made.sample(1.0, dice(3)))
    assert not torch.equal(made.sample(1.0, dice(3)), made.sample(1.0, dice(4)))


def test_a_joint_s_logits_are_its_own():
    made = selector()
    before = made.sample(0.5, dice())
    with torch.no_grad():
        made.table[6, 2] += 1.0
    changed = (made.sample(0.5, dice()) != before).any(-1)
    assert changed.nonzero().flatten().tolist() == [6]


def test_no_group_is_preferred_at_first_and_groups_can_be_set():
    made = Selector(21, 3)
    torch.testing.assert_close(made.logits, torch.full((63,), 1 / 3))
    torch.testing.assert_close(made.probabilities(), torch.full((21, 3), 1 / 3))
    groups = torch.randint(0, 3, (21,), generator=dice())
    made.set_groups(groups)
    assert torch.equal(made.most_probable(), torch.nn.functional.one_hot(groups, 3).float())
    assert torch.equal(made.sample(1.0, dice()).argmax(-1), groups)


@pytest.mark.parametrize("fuse", [True, False])
def test_one_group_is_the_baseline_exactly(fuse):
    """Nothing to select, nothing to fuse: what the only branch gives, whatever is drawn."""
    baseline = network(groups=1, fuse=fuse).eval()
    assert baseline.fusion is None
    for temperature in (5.0, 0.1):
        sample = baseline.selector.sample(temperature, dice())
        assert torch.equal(sample, torch.ones(21, 1))
        with torch.no_grad():
            output, alone = baseline(pictures(), sample), baseline(pictures())
            first = alone.hourglass
            shared = baseline.shared(torch.cat([first.features, first.heat], 1))
            heat, depth = baseline.heads[0](baseline.branches[0](shared))
        for grouped in (output.grouped, alone.grouped):
            assert torch.equal(grouped.heat[:, 0], heat)
            assert torch.equal(grouped.depth, depth)


def test_groups_that_know_the_same_give_what_the_baseline_gives():
    baseline, grouped = network(groups=1).eval(), network(groups=3, seed=5).eval()
    weights = dict(baseline.state_dict())
    for name, value in baseline.state_dict().items():
        for other in ("1", "2"):
            weights[name.replace("branches.0.", f"branches.{other}.").replace("heads.0.", f"heads.{other}.")] = value
    weights["selector.logits"] = grouped.selector.logits.detach()
    grouped.load_state_dict(weights)
    with torch.no_grad():
        wanted = baseline(pictures()).grouped
        for temperature in (5.0, 0.1):
            found = grouped(pictures(), selector().sample(temperature, dice())).grouped
            torch.testing.assert_close(found.uv, wanted.uv)
            torch.testing.assert_close(found.depth, wanted.depth)


def test_a_joint_teaches_the_branch_it_is_in_and_no_other():
    made = network().eval()
    selection = torch.zeros(21, 3)
    selection[:, 2] = 1.0
    selection[5] = torch.tensor([0.0, 1.0, 0.0])
    output = made(pictures(), selection).grouped
    (output.uv.sum() + output.depth.sum()).backward()

    def learned(module):
        return any(p.grad is not None and bool(p.grad.abs().max() > 0) for p in module.parameters())

    assert [learned(branch) for branch in made.branches] == [False, True, True]
    # Of the last layer, whose rows are joints: joint 5 has the second branch for itself.
    rows = [head.depth[2].weight.grad.flatten(1).abs().amax(1) > 0 for head in made.heads]
    assert not rows[0].any()
    assert rows[1].nonzero().flatten().tolist() == [5]
    assert not rows[2][5]
    assert rows[2].sum() == 20


def test_a_branch_learns_from_a_joint_as_much_as_it_is_selected():
    made = network().eval()
    norms = []
    for share in (0.2, 0.6):
        selection = torch.tensor([share, 1.0 - share, 0.0]).expand(21, 3)
        made.zero_grad()
        made(pictures(), selection).grouped.depth[:, 4].sum().backward()
        norms.append(made.heads[0].depth[2].weight.grad[4].norm())
    torch.testing.assert_close(norms[1], 3 * norms[0])


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_fusion_begins_as_nine_tenths_of_its_own(groups):
    fusion = Fusion(groups, planes=4)
    features = [torch.randn(2, 4, 3, 5, generator=dice(k)) for k in range(groups)]
    for own, layer in enumerate(fusion.mix):
        others = sum(f for k, f in enumerate(features) if k != own)
        torch.testing.assert_close(layer(torch.cat(features, 1)), 0.9 * features[own] + 0.1 / (groups - 1) * others)
        # The same everywhere: the identity.
        torch.testing.assert_close(layer(torch.cat([features[0]] * groups, 1)), features[0])
    assert [f.shape for f in fusion(features)] == [(2, 4, 3, 5)] * groups


def test_fused_branches_learn_from_each_other_s_joints():
    made = network(fuse=True).eval()
    selection = torch.nn.functional.one_hot(torch.zeros(21, dtype=torch.long), 3).float()
    made(pictures(), selection).grouped.uv.sum().backward()
    assert all(bool(branch.straight[0][0].weight.grad.abs().max() > 0) for branch in made.branches)


def test_branches_keep_the_resolution():
    assert GroupBranch(8)(torch.zeros(2, 8, 12, 8)).shape == (2, 8, 12, 8)


def test_the_hourglass_alone_is_the_same_hourglass():
    made = network().eval()
    with torch.no_grad():
        alone, whole = made.only_hourglass(pictures()), made(pictures())
    assert alone.grouped is None
    assert torch.equal(alone.hourglass.uv, whole.hourglass.uv)


def test_what_groups_cost():
    """docs/joint_groups.md has these numbers."""

    def millions(module):
        return round(sum(p.numel() for p in module.parameters()) / 1e6, 2)

    with torch.device("meta"):
        baseline = JointGroupsNetwork(1)
        assert (millions(baseline), millions(baseline.hourglass)) == (7.14, 6.43)
        assert (millions(JointGroupsNetwork(3, fuse=False)), millions(JointGroupsNetwork(3))) == (7.46, 7.47)


@pytest.mark.parametrize("groups", [0, 22])
def test_there_are_as_many_groups_as_joints_at_most(groups):
    with pytest.raises(ValueError, match=f"groups must be 1 to 21, planes at least 1, but got {groups}, 8"):
        network(groups)
