"""The category of what a hand holds, from where the code of its pose lies among centres."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Share of a batch in the running means.
_MOMENTUM = 0.05


class Categories(nn.Module):
    """Learned centres where there are any, and what they say about the category of a code.

    With centres, each stands for the categories of the codes that came nearest to it in training; without, each
    category has one, the running mean of its codes. Labels are only counted here, as statistics of normalisation are:
    nothing is learned from them.

    Args:
        count: of categories.
        size: of a code.
        clusters: learned centres; 0 for none.
    """

    means: Tensor
    votes: Tensor

    def __init__(self, count: int, size: int, clusters: int = 0) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(clusters, size)) if clusters else None
        self.register_buffer("means", torch.zeros(count, size))
        self.register_buffer("votes", torch.full((max(clusters, 1), count), 1.0 / count))

    def forward(self, code: Tensor) -> Tensor:
        """Codes (B, D) -> probabilities (B, C)."""
        if self.centres is None:
            return near(code, self.means)
        return near(code, self.centres) @ (self.votes / self.votes.sum(1, keepdim=True))

    @torch.no_grad()
    def count(self, code: Tensor, category: Tensor) -> None:
        """Takes labelled codes (B, D) into account; categories (B,) below 0 are not known."""
        for number in range(len(self.means)):
            of_it = code[category == number].float()
            if len(of_it):
                self.means[number].lerp_(of_it.mean(0), _MOMENTUM)
        if self.centres is not None:
            nearest = near(code, self.centres).argmax(1)
            for centre, number in zip(nearest.tolist(), category.tolist(), strict=True):
                if number >= 0:
                    one = functional.one_hot(torch.tensor(number), len(self.means))
                    self.votes[centre].lerp_(one.to(self.votes), _MOMENTUM)


def near(code: Tensor, centres: Tensor) -> Tensor:
    """Probabilities (B, K) of centres (K, D) by their squared distances from codes (B, D), relative to the mean one."""
    distance = (code[:, None].float() - centres[None].float()).square().sum(-1)
    return (-4.0 * distance / distance.mean(1, keepdim=True).clamp(min=1e-12)).softmax(1)
