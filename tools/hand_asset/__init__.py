"""Construction of the open hand from MakeHuman's CC0 body: one module per stage, run by tools/build_hand_asset.py."""
