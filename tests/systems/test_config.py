"""Configurations are read from JSON and from the command line by one rule, and say what is wrong."""

import re
from dataclasses import replace

import pytest

from knuckle.cli.train import train
from knuckle.systems import SYSTEMS, open_system
from knuckle.systems.config import differences, from_json, to_json, with_settings
from knuckle.systems.shipped import ShippedConfig


def test_every_entry_survives_json():
    config = ShippedConfig()
    changed = replace(config, width=7, crop=replace(config.crop, size=64, labels=("mask_visible",)))
    assert from_json(config, to_json(changed)) == changed
    assert from_json(config, {}) == config


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("width=64", lambda c: c.width == 64),
        ("crop.size=96", lambda c: c.crop.size == 96),
        ("crop.shift=0", lambda c: c.crop.shift == 0.0),
        ("widths=[8, 16]", lambda c: c.widths == (8, 16)),
        ("crop.orientation=picture", lambda c: c.crop.orientation == "picture"),
        ("augment.mix_amplitude=0", lambda c: c.augment.mix_amplitude == 0),
        ("stages.0.batch=32", lambda c: c.stages[0].batch == 32),
        ("stages.0.losses.bones=0.5", lambda c: c.stages[0].losses["bones"] == 0.5),
        ("stages.0.rates.trunk.first=0.1", lambda c: c.stages[0].rates["trunk.first"] == 0.1),
        ("stages.0.optimiser=adamw", lambda c: c.stages[0].optimiser == "adamw"),
    ],
)
def test_settings_are_typed_by_what_they_replace(setting, read):
    config = with_settings(ShippedConfig(), [setting])
    assert read(config)
    assert from_json(ShippedConfig(), to_json(config)) == config


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("widht=64", r"no entry 'widht'.* it has .*width"),
        ("crop.sizes=64", r"no entry 'crop\.sizes'"),
        ("crop.size=large", "must be a whole number but got 'large'"),
        ("crop.size=1.5", "must be a whole number"),
        ("crop.shift=1" + "0" * 400, "must be a finite number"),
        ("stages.0.rates.=NaN", "must be a finite number but got nan"),
        ("crop.orientation=askew", "must be one of upright, picture but got 'askew'"),
        ("stages.3.batch=2", r"no entry 'stages\.3\.batch'"),
        ("width.more=2", "no entry"),
        ("widths=8", "must be a list"),
        ("crop.size=224", "patch must be at least size, .* but got 200 for 224; 1.56 times the size fits"),
        ("stages.0.batch=0", "at least 1 step of 1 example"),
        ("width", "must look like name=value"),
    ],
)
def test_what_does_not_exist_or_fit_is_named(setting, words):
    with pytest.raises(ValueError, match=words):
        with_settings(ShippedConfig(), [setting])


def test_differences_name_the_entry_and_both_values():
    one, other = to_json(ShippedConfig()), to_json(with_settings(ShippedConfig(), ["crop.size=96"]))
    assert differences(one, one) == []
    assert differences(one, other) == ["crop.size was 128, is 96"]


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_system_opens_by_its_name_and_from_what_a_checkpoint_holds(name):
    from knuckle.systems.system import System

    system = open_system(name)
    assert isinstance(system, System)
    assert open_system(name, to_json(system.config)).config == system.config
    assert system.stages == system.config.stages
    assert re.search(rf"[ ,]{name}[,:]", " ".join(train.__doc__.split())), (
        "`knuckle train --help` does not say what it is"
    )


def test_an_unknown_system_or_entry_is_named():
    with pytest.raises(ValueError, match=r"must be one of shipped, detector.* but got 's9'"):
        open_system("s9")
    with pytest.raises(ValueError, match="detector's config has no entry 'size'"):
        open_system("detector", {"size": 3})
    with pytest.raises(ValueError, match="must have a stage at least"):
        open_system("detector", settings=["stages=[]"])
    with pytest.raises(ValueError, match="multiple of 32 and patch at least as large"):
        open_system("detector", settings=["scene.size=320"])
