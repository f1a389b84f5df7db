"""bfloat16 where the hardware multiplies it, float32 elsewhere.

A processor without such instructions emulates them: a step then takes some twenty times as long.
"""

from typing import Literal

import torch

Precision = Literal["auto", "bfloat16", "float32"]


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(bool(getattr(torch.cpu, name)()) for name in asked if hasattr(torch.cpu, name))


def choose_precision(device: torch.device, wanted: Precision = "auto") -> torch.dtype:
    """torch.bfloat16 or torch.float32; "auto" asks the device."""
    if wanted == "auto":
        return torch.bfloat16 if computes_bfloat16(device) else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[wanted]
