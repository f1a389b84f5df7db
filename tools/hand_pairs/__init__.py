"""How two hands of one person meet: the recipes of the bank of pairs, see ../build_hand_pairs.py."""
