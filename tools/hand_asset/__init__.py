"""How the open hand is made from MakeHuman's CC0 body: one stage a file, run by tools/build_hand_asset.py."""
