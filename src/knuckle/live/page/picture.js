// The picture with the hands' skeletons over it, on a canvas of the screen's own pixels.

// White text is read on both, in the light and in the dark.
const SIDES = { left: ["Left", "#b85c00"], right: ["Right", "#2f6fed"] };

export function fitCanvas(canvas) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return scale;
}

export class Picture {
  constructor(canvas, hello) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.hello = hello;
    this.colors = hello.colors.map((rgb) => `rgb(${rgb.join(" ")})`);
  }

  // image: an ImageBitmap or canvas; size: [width, height] that joints_image refer to.
  draw(image, size, hands, mirrored) {
    const pixels = fitCanvas(this.canvas);
    const { context: c, canvas } = this;
    const scale = Math.min(canvas.width / size[0], canvas.height / size[1]);
    const left = (canvas.width - scale * size[0]) / 2;
    const top = (canvas.height - scale * size[1]) / 2;
    c.clearRect(0, 0, canvas.width, canvas.height);
    c.save();
    if (mirrored) {
      c.translate(canvas.width, 0);
      c.scale(-1, 1);
    }
    c.drawImage(image, left, top, scale * size[0], scale * size[1]);
    c.restore();
    // Pixel centres are at integers: the picture's edge is at -0.5.
    const place = ([u, v]) => {
      const x = left + (u + 0.5) * scale;
      return [mirrored ? canvas.width - x : x, top + (v + 0.5) * scale];
    };
    for (const hand of hands) {
      const joints = hand.joints_image.map(place);
      this.skeleton(joints, pixels);
      this.label(hand, joints, pixels);
    }
  }

  skeleton(joints, pixels) {
    const c = this.context;
    const xs = joints.map((p) => p[0]);
    const ys = joints.map((p) => p[1]);
    const extent = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
    const width = Math.min(4 * pixels, Math.max(1.5 * pixels, extent / 50));
    c.lineCap = "round";
    for (const [outline, extra] of [[true, 1.5 * pixels], [false, 0]]) {
      c.lineWidth = width + extra;
      for (const [parent, child] of this.hello.bones) {
        c.strokeStyle = outline ? "rgb(0 0 0 / 0.45)" : this.colors[child];
        c.beginPath();
        c.moveTo(...joints[parent]);
        c.lineTo(...joints[child]);
        c.stroke();
      }
    }
    for (let joint = 0; joint < joints.length; joint++) {
      c.beginPath();
      c.arc(...joints[joint], width * 0.95, 0, 2 * Math.PI);
      c.fillStyle = "white";
      c.fill();
      c.lineWidth = width * 0.6;
      c.strokeStyle = this.colors[joint];
      c.stroke();
    }
  }

  label(hand, joints, pixels) {
    const c = this.context;
    const [side, color] = SIDES[hand.side];
    const text = `${side} ${hand.id ?? ""}  ${Math.round(100 * hand.score)} %`;
    c.font = `600 ${12 * pixels}px system-ui, sans-serif`;
    const width = c.measureText(text).width + 14 * pixels;
    const height = 20 * pixels;
    const [x, y] = joints[0];
    // Under the wrist, or above it where that is at the lower edge.
    const right = this.canvas.width - width;
    const left = Math.max(0, Math.min(right, x - width / 2));
    const top = Math.max(0, Math.min(this.canvas.height - height, y + 12 * pixels));
    c.fillStyle = color;
    c.beginPath();
    c.roundRect(left, top, width, height, 6 * pixels);
    c.fill();
    c.fillStyle = "white";
    c.textBaseline = "middle";
    c.fillText(text, left + 7 * pixels, top + height / 2 + pixels);
  }
}
