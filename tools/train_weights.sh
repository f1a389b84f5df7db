#!/bin/sh
# The recipe of the networks that ship: `make weights`. Draws the pictures, trains in three stages each and writes
# src/knuckle/weights/*.onnx. On two CPU cores with nothing else to do it takes about two hours.
# BACKGROUNDS and HDRI may name folders with photographs and panoramas; without them they are made up.
set -eu
knuckle=${KNUCKLE:-knuckle}
work=${WORK:-runs}
more=""
[ -n "${BACKGROUNDS:-}" ] && more="$more --backgrounds $BACKGROUNDS"
[ -n "${HDRI:-}" ] && more="$more --hdri $HDRI"

# shellcheck disable=SC2086 # $more is words
$knuckle synth "$work/crops" -n 32000 --preset crop --size 192 --seed 1 $more
# shellcheck disable=SC2086
$knuckle synth "$work/frames" -n 11000 --preset detector --size 256 --seed 2 $more

last() { ls -d "$1"/step-* | tail -n 1; }

$knuckle train detector --data "$work/frames" --out "$work/detector-1" --minutes 20 --batch 32
$knuckle train detector --data "$work/frames" --out "$work/detector-2" --minutes 20 --batch 32 --rate 1.5e-3 --seed 2 \
    --from-checkpoint "$(last "$work/detector-1")"
$knuckle train shipped --data "$work/crops" --out "$work/hand" --minutes 60 --size 96 --save-every 250

$knuckle export "$(last "$work/detector-2")" --out src/knuckle/weights/detector.onnx --half
$knuckle export "$(last "$work/hand")" --out src/knuckle/weights/hand.onnx --half
