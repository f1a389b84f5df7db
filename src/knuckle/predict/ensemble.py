"""Several hand networks that predict as one."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from knuckle.predict.contract import Contract
from knuckle.predict.network import HandNetwork


class Ensemble:
    """A `HandNetwork` whose outputs are the means of those of several, such as checkpoints of one system.

        Predictor(hand=Ensemble([HandGraph("a.onnx"), HandGraph("b.onnx")]))

    Args:
        networks: of the same contract.

    Raises:
        ValueError: there is none, or their contracts differ.
    """

    def __init__(self, networks: Sequence[HandNetwork]) -> None:
        contracts = [network.contract for network in networks]
        if not contracts or any(contract != contracts[0] for contract in contracts):
            raise ValueError(
                f"an ensemble must be of networks with one contract but got {len(contracts)} that differ: "
                f"{'; '.join(dict.fromkeys(map(str, contracts))) or 'none'}"
            )
        self._networks = tuple(networks)

    @property
    def contract(self) -> Contract:
        """See `HandNetwork`."""
        return self._networks[0].contract

    def __call__(
        self,
        picture: UInt8[np.ndarray, "h w 3"],
        affines: list[Float[np.ndarray, "2 3"]],
        K: Float[np.ndarray, "n 3 3"] | None = None,
        boxes: Float[np.ndarray, "n 4"] | None = None,
        **known: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """See `HandNetwork`."""
        found = [network(picture, affines, K, boxes, **known) for network in self._networks]
        return {name: np.mean([outputs[name] for outputs in found], axis=0) for name in found[0]}
