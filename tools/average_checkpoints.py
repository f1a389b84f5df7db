"""The mean of several checkpoints' weights, as one float16 checkpoint to export or to train on from.

    python tools/average_checkpoints.py runs/hand-2/step-0017000 runs/hand-3/step-0002364 --out checkpoints/hand

Of stages that began from each other the mean is often better than any of them (Wortsman et al., Model soups, 2022).
With one checkpoint it only drops the optimiser's state and halves the size.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from knuckle.train.checkpoint import load


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders step-... of networks of one configuration")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    loaded = [load(folder) for folder in options.checkpoints]
    if any(one.about["config"] != loaded[-1].about["config"] for one in loaded):
        parser.error("the checkpoints must be of one configuration; see config.json in each")
    mean: dict[str, torch.Tensor] = {}
    for name, last in loaded[-1].weights.items():
        if last.is_floating_point():
            stacked = torch.stack([one.weights[name].float() for one in loaded])
            mean[name] = stacked.mean(0).half().contiguous()
        else:
            mean[name] = last
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(mean, options.out / "weights.safetensors")
    (options.out / "config.json").write_text(json.dumps(loaded[-1].about, indent=1) + "\n")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
