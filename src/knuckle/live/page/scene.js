// The hands in 3D, with plain WebGL: lit meshes, skeletons, and a grid of 5 cm squares under them.

import { fitCanvas } from "/picture.js";

const VERTEX = `
attribute vec3 position, normal;
attribute vec4 color;
uniform mat4 view, projection;
varying vec3 v_normal;
varying vec4 v_color;
void main() {
  vec4 seen = view * vec4(position, 1.0);
  v_normal = mat3(view) * normal;
  v_color = color;
  gl_Position = projection * seen;
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 v_normal;
varying vec4 v_color;
uniform float opacity;
void main() {
  vec3 color = v_color.rgb;
  if (dot(v_normal, v_normal) > 0.1) {
    vec3 n = normalize(v_normal);
    float key = max(dot(n, normalize(vec3(0.4, 0.7, 0.6))), 0.0);
    float sky = 0.5 + 0.5 * n.y;
    float rim = pow(1.0 - abs(n.z), 3.0);
    color = color * (0.28 + 0.28 * sky + 0.6 * key) + 0.16 * rim;
  }
  gl_FragColor = vec4(color, v_color.a * opacity);
}`;
const FLOATS = 10; // of a vertex: position, normal, color
const SIDES = { right: [0.46, 0.63, 0.96], left: [0.96, 0.66, 0.4] };
const FIELD_OF_VIEW = 0.6;
const START = { yaw: 0.6, pitch: 0.25, zoom: 1 };
const CELL = 0.05;
const CELLS = 9;
const GRID_RGBA = [0.5, 0.55, 0.62];

// Whether the processor draws in place of a graphics card, by the name that the browser gives of what draws.
function drawnByProcessor() {
  const gl = document.createElement("canvas").getContext("webgl");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = gl?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER) ?? "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

export class Scene {
  constructor(canvas, hello) {
    this.canvas = canvas;
    this.hello = hello;
    this.faces = Uint16Array.from(hello.faces);
    this.bone = tube(10);
    this.joint = sphere(6, 10);
    this.shown = { mesh: true, bones: true };
    this.mirrored = false;
    this.hands = [];
    this.centre = null;
    this.reset();
    this.listen();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.begin());
    // Without a graphics card drawing takes the processor's time, which finding hands needs too.
    this.visible = true;
    new IntersectionObserver(([entry]) => {
      this.visible = entry.isIntersecting;
      this.draw();
    }).observe(canvas);
    this.begin();
  }

  get works() {
    return Boolean(this.gl);
  }

  reset() {
    Object.assign(this, START);
  }

  begin() {
    this.slow = drawnByProcessor();
    const gl = (this.gl = this.canvas.getContext("webgl", { antialias: !this.slow, alpha: true }));
    if (!gl) return;
    const program = (this.program = gl.createProgram());
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.uniforms = {};
    for (const name of ["view", "projection", "opacity"]) this.uniforms[name] = gl.getUniformLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    let offset = 0;
    for (const [name, size] of [["position", 3], ["normal", 3], ["color", 4]]) {
      const at = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, gl.FLOAT, false, 4 * FLOATS, 4 * offset);
      offset += size;
    }
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // hands: with joints_camera and mesh, a Float32Array of vertices or null; metres, x right, y down, z forward.
  update(hands, drawn = true) {
    this.hands = hands.map((hand) => ({
      joints: hand.joints_camera.map(([x, y, z]) => [x, -y, -z]),
      mesh: this.meshOf(hand),
    }));
    if (hands.length) this.follow();
    if (drawn) this.draw();
  }

  // Turns smoothly to where the hands are; the size of the view changes slowly, as a breathing zoom is hard to read.
  follow() {
    const points = this.hands.flatMap((hand) => hand.joints);
    const low = [0, 1, 2].map((axis) => Math.min(...points.map((p) => p[axis])));
    const high = [0, 1, 2].map((axis) => Math.max(...points.map((p) => p[axis])));
    const centre = low.map((value, axis) => (value + high[axis]) / 2);
    const radius = Math.max(0.12, Math.hypot(...high.map((value, axis) => value - low[axis])) / 2);
    if (!this.centre) Object.assign(this, { centre, radius, floor: low[1] - 0.03 });
    this.centre = this.centre.map((value, axis) => value + 0.25 * (centre[axis] - value));
    this.radius += (radius > this.radius ? 0.2 : 0.03) * (radius - this.radius);
    this.floor += 0.1 * (Math.min(low[1] - 0.03, this.floor + 0.1) - this.floor);
  }

  meshOf(hand) {
    if (!hand.mesh) return null;
    const count = hand.mesh.length / 3;
    const data = new Float32Array(FLOATS * count);
    const color = SIDES[hand.side];
    for (let i = 0, j = 0; i < count; i++, j += FLOATS) {
      data[j] = hand.mesh[3 * i];
      data[j + 1] = -hand.mesh[3 * i + 1];
      data[j + 2] = -hand.mesh[3 * i + 2];
      data.set(color, j + 6);
      data[j + 9] = 1;
    }
    const outward = hand.side === "left" ? -1 : 1; // a left hand is a mirror image, and so is the order of its corners
    const f = this.faces;
    for (let k = 0; k < f.length; k += 3) {
      const a = FLOATS * f[k], b = FLOATS * f[k + 1], c = FLOATS * f[k + 2];
      const ux = data[b] - data[a], uy = data[b + 1] - data[a + 1], uz = data[b + 2] - data[a + 2];
      const vx = data[c] - data[a], vy = data[c + 1] - data[a + 1], vz = data[c + 2] - data[a + 2];
      const n = [outward * (uy * vz - uz * vy), outward * (uz * vx - ux * vz), outward * (ux * vy - uy * vx)];
      for (const corner of [a, b, c]) for (let axis = 0; axis < 3; axis++) data[corner + 3 + axis] += n[axis];
    }
    for (let j = 3; j < data.length; j += FLOATS) {
      const length = Math.hypot(data[j], data[j + 1], data[j + 2]) || 1;
      for (let axis = 0; axis < 3; axis++) data[j + axis] /= length;
    }
    return data;
  }

  skeletonOf(joints) {
    const color = (joint) => this.hello.colors[joint].map((value) => value / 255);
    const parts = this.hello.bones.map(([parent, child]) =>
      placed(this.bone, boneFrame(joints[parent], joints[child]), color(child)));
    joints.forEach((at, joint) => {
      // Tips lie on the skin: a larger ball would stick out of it.
      const r = joint === 0 ? 0.0065 : joint % 4 === 0 ? 0.0034 : 0.0048;
      parts.push(placed(this.joint, [[r, 0, 0], [0, r, 0], [0, 0, r], at], color(joint)));
    });
    return parts;
  }

  draw() {
    const gl = this.gl;
    if (!gl || gl.isContextLost() || !this.visible) return;
    fitCanvas(this.canvas);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!this.centre) return;
    this.place();
    const bones = this.shown.bones || !this.shown.mesh;
    for (const hand of this.hands) {
      if (!bones && hand.mesh) continue;
      for (const part of this.skeletonOf(hand.joints)) this.batch(part.data, part.index, gl.TRIANGLES, 1);
    }
    for (const hand of this.hands) {
      if (!this.shown.mesh || !hand.mesh) continue;
      if (bones) {
        // Depth first, so that of a transparent hand only the front is seen, and the bones within it.
        gl.colorMask(false, false, false, false);
        this.batch(hand.mesh, this.faces, gl.TRIANGLES, 1);
        gl.colorMask(true, true, true, true);
      }
      this.batch(hand.mesh, this.faces, gl.TRIANGLES, bones ? 0.62 : 1);
    }
    // Last, so that hands hide it, transparent as they may be.
    this.batch(grid(this.centre, this.floor), null, gl.LINES, 1);
  }

  batch(data, index, kind, opacity) {
    const gl = this.gl;
    gl.uniform1f(this.uniforms.opacity, opacity);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STREAM_DRAW);
    if (!index) return gl.drawArrays(kind, 0, data.length / FLOATS);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, index, gl.STREAM_DRAW);
    gl.drawElements(kind, index.length, gl.UNSIGNED_SHORT, 0);
  }

  place() {
    const gl = this.gl;
    const aspect = this.canvas.width / this.canvas.height;
    const t = Math.tan(FIELD_OF_VIEW / 2);
    const distance = (1.05 * this.radius) / Math.sin(Math.atan(t * Math.min(1, aspect))) / this.zoom;
    const near = distance / 20, far = distance + 5;
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const m = this.mirrored ? -1 : 1;
    // Rows of the rotation: mirror, then turn about y, then about x.
    const rows = [[m * cy, 0, sy], [m * sp * sy, cp, -sp * cy], [-m * cp * sy, sp, cp * cy]];
    const shift = rows.map((row, i) => -row.reduce((sum, value, j) => sum + value * this.centre[j], 0) - (i === 2 ? distance : 0));
    const view = [];
    for (let column = 0; column < 3; column++) view.push(...rows.map((row) => row[column]), 0);
    view.push(...shift, 1);
    gl.uniformMatrix4fv(this.uniforms.view, false, view);
    const depth = [(far + near) / (near - far), (2 * far * near) / (near - far)];
    gl.uniformMatrix4fv(this.uniforms.projection, false,
      [1 / (t * aspect), 0, 0, 0, 0, 1 / t, 0, 0, 0, 0, depth[0], -1, 0, 0, depth[1], 0]);
  }

  listen() {
    const pointers = new Map();
    const canvas = this.canvas;
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const apart = pointers.size === 2 ? spread() : 0;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size === 2) this.zoomBy(spread() / Math.max(apart, 1));
      else this.turn(event.clientX - before.x, event.clientY - before.y);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 600));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => {
      this.reset();
      this.draw();
    });
  }

  turn(x, y) {
    this.yaw += x / 150;
    this.pitch = Math.min(1.5, Math.max(-1.5, this.pitch + y / 150));
    this.draw();
  }

  zoomBy(factor) {
    this.zoom = Math.min(6, Math.max(0.3, this.zoom * factor));
    this.draw();
  }
}

function tube(sides) {
  const data = [], index = [];
  for (let i = 0; i < sides; i++) {
    const angle = (2 * Math.PI * i) / sides;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    data.push([x, y, 0, x, y, 0], [0.75 * x, 0.75 * y, 1, x, y, 0]);
    const a = 2 * i, b = 2 * ((i + 1) % sides);
    index.push(a, b, a + 1, b, b + 1, a + 1);
  }
  return { vertices: data, index: Uint16Array.from(index) };
}

function sphere(rings, sides) {
  const data = [], index = [];
  for (let i = 0; i <= rings; i++) {
    for (let j = 0; j <= sides; j++) {
      const [a, b] = [(Math.PI * i) / rings, (2 * Math.PI * j) / sides];
      const p = [Math.sin(a) * Math.cos(b), Math.sin(a) * Math.sin(b), Math.cos(a)];
      data.push([...p, ...p]);
      if (i < rings && j < sides) {
        const at = i * (sides + 1) + j, next = at + sides + 1;
        index.push(at, next, at + 1, next, next + 1, at + 1);
      }
    }
  }
  return { vertices: data, index: Uint16Array.from(index) };
}

// Columns x, y, z (from start to end) and the origin.
function boneFrame(start, end) {
  const z = end.map((value, axis) => value - start[axis]);
  const length = Math.hypot(...z) || 1e-6;
  const unit = z.map((value) => value / length);
  const other = Math.abs(unit[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
  const x = normalised(cross(other, unit));
  const y = cross(unit, x);
  const r = 0.0036;
  return [x.map((value) => r * value), y.map((value) => r * value), z, start];
}

function placed(shape, [x, y, z, origin], color) {
  const units = [x, y, z].map(normalised);
  const data = new Float32Array(FLOATS * shape.vertices.length);
  shape.vertices.forEach((v, i) => {
    for (let axis = 0; axis < 3; axis++) {
      data[FLOATS * i + axis] = origin[axis] + v[0] * x[axis] + v[1] * y[axis] + v[2] * z[axis];
      data[FLOATS * i + 3 + axis] = v[3] * units[0][axis] + v[4] * units[1][axis] + v[5] * units[2][axis];
    }
    data.set(color, FLOATS * i + 6);
    data[FLOATS * i + 9] = 1;
  });
  return { data, index: shape.index };
}

// Lines that stay where they are in space while the view follows the hands, and fade away from them.
function grid(centre, floor) {
  const data = [];
  const [x0, z0] = [CELL * Math.round(centre[0] / CELL), CELL * Math.round(centre[2] / CELL)];
  const reach = CELL * CELLS;
  const vertex = (x, z) => {
    const fade = Math.max(0, 1 - Math.hypot(x - centre[0], z - centre[2]) / reach);
    data.push(x, floor, z, 0, 0, 0, ...GRID_RGBA, 0.55 * fade);
  };
  for (let i = -CELLS; i <= CELLS; i++) {
    for (let j = -CELLS; j < CELLS; j++) {
      vertex(x0 + CELL * i, z0 + CELL * j);
      vertex(x0 + CELL * i, z0 + CELL * (j + 1));
      vertex(x0 + CELL * j, z0 + CELL * i);
      vertex(x0 + CELL * (j + 1), z0 + CELL * i);
    }
  }
  return Float32Array.from(data);
}

function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function normalised(v) {
  const length = Math.hypot(...v) || 1;
  return v.map((value) => value / length);
}
