#!/bin/sh
# The recipe of the networks that ship: `make weights`. Draws the pictures, trains both networks from random weights and
# writes src/knuckle/weights/*.onnx. On two CPU cores with nothing else to do it takes about eight hours.
#
#   BACKGROUNDS, HDRI   folders with photographs (without hands in them) and panoramas; without them they are made up
#   WEAK                folder of photographs with 2D joints (the reader "weak", docs/training.md); without it both
#                       networks learn from generated pictures alone
#   WORK                where pictures and runs go (runs); called again it goes on where it was stopped
#   SCALE               of all numbers of pictures and minutes: 0.01 rehearses every step in a few minutes
set -eu
knuckle=${KNUCKLE:-knuckle}
work=${WORK:-runs}
out=${OUT:-src/knuckle/weights}
more=""
[ -n "${BACKGROUNDS:-}" ] && more="$more --backgrounds $BACKGROUNDS"
[ -n "${HDRI:-}" ] && more="$more --hdri $HDRI"

scaled() { awk "BEGIN { printf \"%.6g\", $1 * ${SCALE:-1} }"; }
pictures() { awk "BEGIN { printf \"%d\", $1 * ${SCALE:-1} }"; }
last() { ls -d "$1"/step-* | tail -n 1; }

# shellcheck disable=SC2086 # $more is words
draw() { $knuckle synth "$work/$1" -n "$(pictures "$2")" --preset "$3" --size "$4" --seed "$5" $more; }

draw crops 90000 crop 192 1
draw gestures 24000 gesture 192 2
draw frames 14000 detector 320 3

$knuckle train detector --data "$work/frames" --out "$work/detector-1" --minutes "$(scaled 40)" --set scene.size=192
$knuckle train detector --data "$work/frames" --out "$work/detector-2" --minutes "$(scaled 40)" \
    --rate 1.5e-3 --seed 2 --from-checkpoint "$(last "$work/detector-1")"
detector=detector-2
if [ -n "${WEAK:-}" ]; then
    # Real rooms and faces: fewer of them are taken for hands, and hands beside a head are found.
    detector=detector-3
    $knuckle train detector --data "$work/frames" --data "weak:$WEAK:2d@0.3" --out "$work/detector-3" \
        --minutes "$(scaled 40)" --rate 1e-3 --seed 3 --from-checkpoint "$(last "$work/detector-2")"
fi
hands="--data $work/crops --data $work/gestures --data $work/frames"
# Most is learned at 96 pixels, at nearly twice the speed of 128.
# shellcheck disable=SC2086
$knuckle train shipped $hands --out "$work/hand-1" --minutes "$(scaled 120)" --set crop.size=96
# shellcheck disable=SC2086
$knuckle train shipped $hands --out "$work/hand-2" --minutes "$(scaled 90)" --seed 2 \
    --from-checkpoint "$(last "$work/hand-1")"
# Real hands look different from generated ones: joints in photographs teach the look, generated pictures the depth,
# and the limits of human hands, which are among the losses of all hands, keep the two together.
[ -n "${WEAK:-}" ] && hands="$hands --data weak:$WEAK:2d@0.28"
# shellcheck disable=SC2086
$knuckle train shipped $hands --out "$work/hand-3" --minutes "$(scaled 90)" --rate 1.2e-3 --seed 3 \
    --from-checkpoint "$(last "$work/hand-2")"

$knuckle export "$(last "$work/$detector")" --out "$out/detector.onnx" --int8 "$work/frames"
$knuckle export "$(last "$work/hand-3")" --out "$out/hand.onnx" --int8 "$work/crops"
# What `knuckle about` holds them against; docs/weights.md has the same lines.
(cd "$out" && sha256sum -- *.onnx > SHA256SUMS)
