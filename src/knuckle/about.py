"""What a report of a problem, or an audit, wants to know of an installation."""

import platform
import re
from importlib import metadata
from typing import NamedTuple

import cv2
import onnxruntime

from knuckle.version import __version__
from knuckle.weights import published_sha256, sha256_of, weights_path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_LICENCES = "Apache-2.0 (code, weights), CC0-1.0 (hand model)"


class WeightsFile(NamedTuple):
    """A network of the package: its file's name, its SHA-256, and the one it was published with."""

    name: str
    sha256: str
    published: str

    @property
    def genuine(self) -> bool:
        """Whether the two are the same."""
        return self.sha256 == self.published


class Package(NamedTuple):
    """An installed package that knuckle needs: for the extra of that name, or always where that is empty."""

    name: str
    version: str
    licence: str
    extra: str


def environment() -> dict[str, str]:
    """Versions, the processor and its features, and where networks can run, by name."""
    return {
        "knuckle": f"{__version__}, {_LICENCES}",
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "processor": " ".join(cv2.getCPUFeaturesLine().split()),
        "providers": ", ".join(onnxruntime.get_available_providers()),
    }


def shipped_weights() -> list[WeightsFile]:
    """The networks of the package.

    Raises:
        FileNotFoundError: one is missing.
    """
    published = published_sha256()
    return [
        WeightsFile(f"{name}.onnx", sha256_of(weights_path(name)), published[f"{name}.onnx"])
        for name in sorted(name.removesuffix(".onnx") for name in published)
    ]


def packages() -> list[Package]:
    """The installed packages that knuckle needs, and those that they need, in the order of their names."""
    found: dict[str, Package] = {}
    waiting = [("knuckle", "", True)]
    while waiting:
        name, extra, is_root = waiting.pop(0)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of an extra that is not installed
            continue
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        found[key] = Package(distribution.name, distribution.version, licence_of(distribution), extra)
        for requirement in distribution.requires or ():
            wanted = _EXTRA.search(requirement)
            needed = _NAME.match(requirement)
            if needed is not None and (is_root or wanted is None) and not (wanted and wanted[1] == "dev"):
                waiting.append((needed[0], extra or (wanted[1] if wanted else ""), False))
    return sorted(found.values(), key=lambda package: package.name.lower())


def licence_of(distribution: metadata.Distribution) -> str:
    """The licence in a package's metadata, in a few words."""
    about = distribution.metadata
    stated = ", ".join(about.get_all("License-Expression") or [])
    classifiers = [c.split(" :: ")[-1] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    text = about["License"].strip() if "License" in about else ""
    if not stated and text and len(text) <= 60 and "\n" not in text:
        stated = text
    return stated or ", ".join(classifiers) or "not stated"
