"""Renders labelled pictures of hands to train on, from nothing but code and the free hand.

    generator = Generator(Settings(preset="crop", seed=1))
    picture = generator.picture(0)

needs `pip install 'knuckle[synth]'` and the system's EGL library; prediction imports nothing of it.
"""

from knuckle.synth.generate import Generator, Picture, Settings
from knuckle.synth.presets import PRESETS, Preset
from knuckle.synth.sheet import write_sheet
from knuckle.synth.write import write_shards

__all__ = ["PRESETS", "Generator", "Picture", "Preset", "Settings", "write_shards", "write_sheet"]
