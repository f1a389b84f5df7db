"""Backbones of timm, by name: whole classifiers, and the same in three sections that can be entered in the middle."""

import difflib
from collections.abc import Sequence
from typing import Any

import timm
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from torch import Tensor, nn


def check_backbone(name: str, others: Sequence[str] = ()) -> None:
    """Whether timm has a backbone of that name, or it is one of the others.

    Raises:
        ValueError: it has not; the message lists similar names.
    """
    known = [*timm.list_models(), *others]
    if name.partition(".")[0] not in known:
        close = difflib.get_close_matches(name, known, 4, 0.5)
        own = "".join(f"{other} or " for other in others)
        raise ValueError(
            f"backbone must be {own}one of timm's, such as {', '.join(close or ['resnet50'])}, but got {name!r}"
        )


def open_backbone(name: str, pretrained: bool = False, others: Sequence[str] = ()) -> Any:
    """A classifier of timm without its last layer, (B, 3, H, W) -> (B, num_features).

    Args:
        name: of timm.
        pretrained: fetch its weights.
        others: names that a message about an unknown one shall list too.

    Raises:
        ValueError: there is no such backbone, or it has no pretrained weights.
        OSError: its weights cannot be fetched.
    """
    check_backbone(name, others)
    if pretrained and not timm.is_model_pretrained(name):
        raise ValueError(f"backbone must have pretrained weights but {name} has none; leave pretrained off")
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        if not pretrained:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OSError(
            f"the pretrained weights of {name} must be fetched, or lie in the cache, but cannot be ({reason}); "
            "leave pretrained off, or try again with a connection"
        ) from error


class SectionedBackbone(nn.Module):
    """A ResNet or an EfficientNet of timm without pooling, in two sections of which the first can be left out.

    Attributes:
        early: (B, 3, H, W) -> (B, early_channels, H / 4, W / 4).
        late: -> (B, channels, H / 32, W / 32).

    Args:
        name: of timm.
        pretrained: fetch its weights.

    Raises:
        ValueError: timm has no such backbone, or it is of another family.
        OSError: its weights cannot be fetched.
    """

    def __init__(self, name: str, pretrained: bool = False) -> None:
        super().__init__()
        model = open_backbone(name, pretrained)
        family = type(model)
        widths = {info["reduction"]: int(info["num_chs"]) for info in model.feature_info}
        if issubclass(family, ResNet):
            early = [model.conv1, model.bn1, model.act1, model.maxpool]
            late = [model.layer1, model.layer2, model.layer3, model.layer4]
            # Its max pooling quarters the picture before the first residual stage.
            self.early_channels = widths[2]
        elif issubclass(family, EfficientNet):
            stages, last = list(model.blocks), {info["reduction"]: info["module"] for info in model.feature_info}[4]
            begin = 1 + int(last.removeprefix("blocks."))
            early = [model.conv_stem, model.bn1, *stages[:begin]]
            late = [*stages[begin:], model.conv_head, model.bn2]
            self.early_channels = widths[4]
        else:
            raise ValueError(
                f"backbone must be a ResNet or an EfficientNet of timm but {name} is a {family.__name__}; "
                "resnet50 and efficientnet_b0 are the papers'"
            )
        self.channels = int(model.num_features)
        self.early, self.late = nn.Sequential(*early), nn.Sequential(*late)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> features at a quarter and at a thirty-second of the resolution."""
        early = self.early(image)
        return early, self.late(early)
