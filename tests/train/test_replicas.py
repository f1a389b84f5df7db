"""However a batch is divided, its gradient is the whole batch's; and what a stage freezes stays as it is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from knuckle.losses.mean import Mean, fill_missing, weighted_mean
from knuckle.systems.system import Graph, Part, Stage
from knuckle.train.optimise import prepare_stage, rate_of, schedule, set_rates
from knuckle.train.order import Order
from knuckle.train.ranks import Alone, first_then_others
from knuckle.train.replicas import Replicas


@dataclass
class Rows:
    """A batch of plain rows, some without a label."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device) -> "Rows":
        return self


class RowSource:
    """Numbers whose label is missing in most of the first half: parts of a batch differ in what is labelled."""

    def __init__(self, count: int = 64) -> None:
        rng = np.random.default_rng(0)
        self._x = rng.normal(size=(count, 5)).astype(np.float32)
        self._y = rng.normal(size=(count, 2)).astype(np.float32)
        self._y[: count // 2][rng.random(count // 2) < 0.8] = np.nan
        self.parts = [Part("rows", count)]

    def __len__(self) -> int:
        return len(self._x)

    def group(self, index: int) -> str:
        return str(index)

    def sample(self, index, rng):
        return self._x[index], self._y[index]

    def collate(self, samples) -> Rows:
        x, y = (torch.from_numpy(np.stack(values)) for values in zip(*samples, strict=True))
        return Rows(x, y)


class Output(NamedTuple):
    y: torch.Tensor


class Linear:
    """Two losses of different weights over rows."""

    config = None

    def __init__(self, dropout: float = 0.0) -> None:
        self._dropout = dropout
        self.stages = [Stage(losses={"l1": 2.0, "size": 0.5})]

    def network(self, pretrained: bool = False) -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(self._dropout), nn.Linear(8, 2))

    def source(self, sets, cache, advance) -> RowSource:
        return RowSource()

    def forward(self, network, batch, now) -> Output:
        return Output(network(batch.x))

    def losses(self, output, batch, now) -> dict[str, Mean]:
        y, known = fill_missing(batch.y, output.y)
        return {"l1": weighted_mean((output.y - y).abs().mean(-1), known), "size": weighted_mean(output.y.square())}

    def errors(self, output, batch) -> dict[str, Mean]:
        y, known = fill_missing(batch.y, output.y)
        return {"l1_mm": weighted_mean((output.y - y).norm(dim=-1), known)}

    def graphs(self, network) -> dict[str, Graph]:
        return {}


def gradient(threads: int, count: int, dropout: float = 0.0):
    system, source = Linear(dropout), RowSource()
    network = system.network()
    stage = replace(system.stages[0], batch=count)
    prepare_stage(network, stage, 1, torch.float32)
    replicas = Replicas(system, network, Alone(), threads, torch.float32, 3)

    def make(places):
        return source.collate([source.sample(place, None) for place in places])

    replicas.begin(stage, make(range(2)))
    numbers = replicas.gradient(make, count, 5, 0.1)
    replicas.close()
    return network, numbers


@pytest.mark.parametrize("threads", [2, 3])
def test_the_gradient_of_replicas_is_that_of_the_whole_batch(threads):
    whole, ours = gradient(1, 20)
    parts, theirs = gradient(threads, 20)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7)
    for name, mean in ours.items():
        torch.testing.assert_close(mean.value, theirs[name].value)

    # The same by hand, in one piece; the mean of the parts' own means, as replicas often have it, is another thing.
    source, system = RowSource(), Linear()
    network = system.network()
    x, y = torch.from_numpy(source._x[:20]), torch.from_numpy(source._y[:20])
    known = y.isfinite().all(1)
    out = network(x)
    (2.0 * (out - y)[known].abs().mean() + 0.5 * out.square().mean()).backward()
    for mine, theirs_ in zip(network.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs_.grad, rtol=1e-5, atol=1e-7)


def test_a_batch_smaller_than_the_replicas_is_shared_as_far_as_it_goes():
    whole, _ = gradient(1, 2)
    parts, _ = gradient(3, 2)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_dropout_is_the_same_every_time_whatever_the_threads_do():
    first, _ = gradient(2, 20, dropout=0.5)
    torch.rand(17)  # somebody else draws from the global generator
    second, _ = gradient(2, 20, dropout=0.5)
    without, _ = gradient(2, 20)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert not torch.equal(first[3].weight.grad, without[3].weight.grad)


def test_a_weight_for_a_loss_that_there_is_not_is_named():
    system, source = Linear(), RowSource()
    network = system.network()
    stage = Stage(losses={"l1": 1.0, "bones": 1.0})
    replicas = Replicas(system, network, Alone(), 1, torch.float32, 0)

    def make(places):
        return source.collate([source.sample(place, None) for place in places])

    replicas.begin(stage, make(range(2)))
    with pytest.raises(ValueError, match="weighs losses that there are not: bones"):
        replicas.gradient(make, 4, 0, 0.0)


def test_a_stage_without_losses_or_with_too_small_a_batch_is_refused():
    system = Linear()
    network = system.network()
    replicas = Replicas(system, network, Alone(), 1, torch.float32, 0)
    with pytest.raises(ValueError, match="stage all must weigh a loss"):
        replicas.begin(Stage(losses={"l1": 0.0}), None)
    many = Alone()
    many.count = 3
    with pytest.raises(ValueError, match="batch must be at least 3, the processes, but got 2"):
        Replicas(system, network, many, 1, torch.float32, 0).begin(Stage(batch=2, losses={"l1": 1.0}), None)


class Threads:
    """Ranks on threads of one process."""

    device = torch.device("cpu")

    def __init__(self, rank: int, count: int, shared: list, barrier: threading.Barrier) -> None:
        self.rank, self.count, self._shared, self._barrier = rank, count, shared, barrier

    def sum(self, values):
        self._barrier.wait(20)
        self._shared[self.rank] = values
        self._barrier.wait(20)
        return torch.stack(list(self._shared)).sum(0)

    def texts(self, text):
        return [text] * self.count

    def wait(self):
        self._barrier.wait(20)

    def close(self):
        return


def in_two_processes(call):
    """What a function of the ranks returns or raises in each of two processes."""
    barrier, shared = threading.Barrier(2), [None, None]

    def one(rank: int):
        try:
            return call(Threads(rank, 2, shared, barrier))
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


def test_processes_begin_a_stage_with_the_same_statistics_of_normalisation():
    """Each gathers its own; a part that is frozen uses them."""
    networks = [nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2)) for _ in range(2)]
    networks[0][1].running_mean.fill_(3.0)
    networks[1][1].running_mean.fill_(float("nan"))

    def begin(ranks) -> None:
        batch = RowSource().collate([RowSource().sample(i, None) for i in range(2)])
        Replicas(Linear(), networks[ranks.rank], ranks, 1, torch.float32, 0).begin(Linear().stages[0], batch)

    assert in_two_processes(begin) == [None, None]
    assert [network[1].running_mean.tolist() for network in networks] == [[3.0, 3.0]] * 2


def test_the_first_process_goes_first_however_long_it_takes():
    called: list[str] = []

    def call(ranks) -> int:
        time.sleep(0.2 if ranks.rank == 0 else 0.0)
        called.append(f"process {ranks.rank}")
        return ranks.rank

    assert in_two_processes(lambda ranks: first_then_others(ranks, lambda: call(ranks), 0.02)) == [0, 1]
    assert called == ["process 0", "process 1"]


def test_where_the_first_process_fails_the_others_say_so():
    def call():
        raise ValueError("no picture")

    said = in_two_processes(lambda ranks: first_then_others(ranks, call, 0.02))
    assert said == ["no picture", "process 1 waited for process 0, which failed; see its message"]


def test_the_longest_prefix_gives_the_rate_and_the_rest_is_frozen():
    stage = Stage(rates={"0.": 1e-2, "0.bias": 1e-3})
    assert (rate_of("0.weight", stage), rate_of("0.bias", stage), rate_of("3.weight", stage)) == (1e-2, 1e-3, None)
    network = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)))
    optimiser = prepare_stage(network, stage, 1, torch.float32)
    assert [p.requires_grad for p in network.parameters()] == [True, True, False, False]
    assert (network[0].training, network[1].training) == (True, True)
    assert not any(module.training for module in network[2].modules())
    set_rates(optimiser, replace(stage, schedule="step", milestones=(0.5,), warmup=0.0), 0.6)
    assert sorted(group["lr"] for group in optimiser.param_groups) == pytest.approx([1e-4, 1e-3])
    with pytest.raises(ValueError, match="no parameter's name begins so"):
        prepare_stage(network, Stage(rates={"trunk.": 1.0}), 1, torch.float32)
    with pytest.raises(ValueError, match="must train something"):
        prepare_stage(network, Stage(rates={"": 0.0}), 1, torch.float32)


def test_schedules_rise_then_fall_as_they_say():
    stage = Stage(warmup=0.1)
    assert schedule(stage, 0.05) == pytest.approx(0.5)
    assert schedule(stage, 0.1) == pytest.approx(1.0)
    assert schedule(stage, 1.0) == pytest.approx(0.005)
    assert schedule(replace(stage, schedule="constant"), 0.9) == 1.0


class Grouped(RowSource):
    def __init__(self, groups: list[str], parts: list[Part]) -> None:
        super().__init__(len(groups))
        self._groups, self.parts = groups, parts

    def group(self, index: int) -> str:
        return self._groups[index]


def test_every_example_is_seen_once_an_epoch():
    order = Order(Grouped(["one"] * 16, [Part("a", 16)]), 0)  # a single group is never held out
    stage = Stage(batch=4)
    seen = np.concatenate([order.indices(stage, 0, step) for step in range(8)])
    assert sorted(seen[:16]) == sorted(seen[16:]) == list(range(16))
    assert seen[:16].tolist() != seen[16:].tolist()
    assert len(order.held_out[0]) == 0


def test_whole_groups_are_held_out_and_the_same_in_every_run():
    groups = [f"picture {i // 3}" for i in range(300)] + ["video"] * 200
    source = Grouped(groups, [Part("pictures", 300), Part("video", 200)])
    one, other = Order(source, 0), Order(source, 1)
    out = one.held_out[0]
    assert 6 <= len(out) <= 9
    assert {groups[i] for i in out}.isdisjoint(groups[i] for i in range(300) if i not in set(out))
    np.testing.assert_array_equal(out, other.held_out[0])
    # A set of one video has no group that could be spared.
    assert len(one.held_out[1]) == 0
    seen = {int(i) for step in range(40) for i in one.indices(Stage(batch=50), 0, step)}
    assert seen == set(range(500)) - set(out.tolist())


def test_a_group_that_is_held_out_of_one_part_is_held_out_of_all():
    groups = [f"picture {i}" for i in range(400)]
    # The second part has more examples of fewer groups: by itself it would hold out others.
    both = [*groups, *(name for name in groups[100:300] for _ in range(3))]
    order = Order(Grouped(both, [Part("full", 400), Part("full:2d", 600)]), 0)
    out = {both[i] for part in order.held_out for i in part}
    assert len(out) >= 8
    seen = {both[i] for step in range(40) for i in order.indices(Stage(batch=50), 0, step)}
    assert seen == set(groups) - out


def test_shares_are_kept_in_every_batch():
    parts = [Part("a", 900), Part("b", 90), Part("c", 10, 0.3)]
    order = Order(Grouped([str(i) for i in range(1000)], parts), 0)
    counts = np.zeros(3)
    for step in range(50):
        indices = order.indices(Stage(batch=20), 0, step)
        assert ((indices >= 990).sum(), len(indices)) == (6, 20)
        counts += [(indices < 900).sum(), ((indices >= 900) & (indices < 990)).sum(), (indices >= 990).sum()]
    # What has no share fills the rest by size.
    assert 5 < counts[0] / counts[1] < 20
    # A stage's mix goes over the command line's.
    mixed = order.indices(Stage(batch=20, mix={"a": 0.5, "b": 0.25, "c": 0.25}), 0, 0)
    assert ((mixed < 900).sum(), (mixed >= 990).sum()) == (10, 5)


@pytest.mark.parametrize(
    ("parts", "mix", "words"),
    [
        ([Part("a", 5, 0.7), Part("b", 5, 0.6)], {}, "at most 1 but add up to 1.3"),
        ([Part("a", 5, 1.0), Part("b", 5)], {}, "nothing is left for b"),
        ([Part("a", 5)], {"z": 0.5}, "must name data sets of the run"),
        ([Part("a", 5)], {"a": 0.0}, "must draw from one data set at least"),
        ([Part("a", 5), Part("b", 5)], {"a": -0.5}, "must be 0 to 1 but got"),
    ],
)
def test_shares_that_cannot_be_met_are_named(parts, mix, words):
    order = Order(Grouped([str(i) for i in range(sum(p.count for p in parts))], parts), 0)
    with pytest.raises(ValueError, match=words):
        order.indices(Stage(batch=8, mix=mix), 0, 0)
