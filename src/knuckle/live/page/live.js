// The live page: one websocket, and what it brings shown as picture, 3D view, bars and numbers.

import { BrowserCamera } from "/camera.js";
import { Cards } from "/cards.js";
import { Picture } from "/picture.js";
import { Scene } from "/scene.js";

const RETRY_MS = 1000;
const CLOCK_MS = 2000; // between two questions for the server's time
const CLOCK_OLD_MS = 30000; // clocks drift: an answer is not used for longer
const RATE_MS = 2000; // frames a second are counted over so long
const SLOW_MS = 120; // without a graphics card 3D and bars are drawn no sooner than after so long
const REFUSAL_MS = 10000; // for so long a message about the browser's camera covers another source's picture

const node = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token") ?? "";

// For tests and the console.
window.knuckle = { frames: 0, hands: [], size: null, fps: 0, delay: null };

const page = {
  hello: null, socket: null, views: null,
  browser: false, // whether frames come from this browser's camera
  waiting: null, // its frame that is on the way: {image, captured}
  clock: null, // {offset, round, at}: the server's time is ours plus offset
  mirrored: null, // as the person has chosen; null: as the source is
  times: [], last: null,
  drawn: 0, // when 3D and bars were drawn last
};

// ---------------------------------------------------------------- what is wrong, over the picture; the first that is

const notes = { connection: "", source: "", camera: "" };

function note(about, text) {
  notes[about] = text;
  const shown = notes.connection || notes.source || notes.camera;
  node("note").textContent = shown;
  node("note").hidden = !shown;
  node("light").className = shown ? "bad" : page.last ? "good" : "";
}

// ---------------------------------------------------------------- the websocket

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const camera = page.browser ? "&camera=browser" : "";
  const socket = new WebSocket(`${scheme}://${location.host}/ws?token=${encodeURIComponent(token)}${camera}`);
  page.socket = socket;
  page.waiting = page.clock = null;
  page.times = [];
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (socket !== page.socket) return;
    if (typeof data === "string") heard(JSON.parse(data));
    else received(socket, data);
  };
  socket.onclose = (event) => {
    if (socket !== page.socket) return;
    forget();
    note("connection", event.reason || "The connection to knuckle is lost. If it was stopped, start it again and open the new address.");
    setTimeout(() => socket === page.socket && connect(), RETRY_MS);
  };
}

function disconnect() {
  const socket = page.socket;
  page.socket = null;
  socket?.close();
  forget();
}

function heard(message) {
  if (message.type === "hello") begin(message);
  else if (message.type === "status") note("source", message.text);
  else if (message.type === "clock") setClock(message);
  else if (message.type === "error") {
    note("camera", message.text);
    page.waiting = null;
    sendFrame();
  }
}

function begin(hello) {
  if (!page.hello) {
    page.hello = hello;
    page.views = {
      picture: new Picture(node("picture"), hello),
      scene: new Scene(node("scene"), hello),
      cards: new Cards(node("cards"), hello),
    };
    page.views.cards.show([]);
    if (!page.views.scene.works) document.querySelector(".hint").textContent = "no 3D: this browser has WebGL switched off";
    if (hello.source === null) return useCamera(true);
  }
  note("connection", "");
  note("source", "");
  const name = page.browser ? "this browser's camera" : hello.source;
  node("name").textContent = node("name").title = name;
  button(!page.browser ? "Use this browser's camera" : hello.source === null ? "" : `Back to ${hello.source}`);
  node("mirror").checked = isMirrored();
  askClock();
  sendFrame();
}

function button(text) {
  node("camera").textContent = text;
  node("camera").hidden = !text;
}

// ---------------------------------------------------------------- frames

// See frame_message in messages.py.
function parse(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const hand of frame.hands) {
    hand.mesh = hand.vertices ? new Float32Array(buffer, at, 3 * hand.vertices) : null;
    at += 12 * hand.vertices;
  }
  frame.jpeg = new Uint8Array(buffer, at);
  return frame;
}

async function received(socket, buffer) {
  const frame = parse(buffer);
  const sent = page.waiting;
  const image = sent?.image ?? (await createImageBitmap(new Blob([frame.jpeg], { type: "image/jpeg" })));
  // In a hidden page this waits, and nothing is sent meanwhile.
  requestAnimationFrame(() => {
    if (socket !== page.socket) return;
    show(frame, image, sent?.captured);
    if (page.browser) {
      page.waiting = null;
      sendFrame();
    } else if (socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({ type: "shown", number: frame.number }));
    }
  });
}

function show(frame, image, captured) {
  page.last?.image.close();
  page.last = { frame, image };
  draw();
  const now = performance.now();
  const all = !page.views.scene.slow || now - page.drawn > SLOW_MS || !frame.hands.length;
  if (all) page.drawn = now;
  page.views.scene.update(frame.hands, all);
  if (all) page.views.cards.show(frame.hands);
  page.times = [...page.times.filter((time) => time > now - RATE_MS), now];
  const fps = page.times.length > 1 ? (1000 * (page.times.length - 1)) / (now - page.times[0]) : 0;
  const delay = captured !== undefined ? now - captured : page.clock && now + page.clock.offset - frame.captured;
  Object.assign(window.knuckle, { frames: window.knuckle.frames + 1, hands: frame.hands, size: frame.size, fps, delay });
  if (page.times.length > 3) write("fps", fps);
  write("inference", frame.milliseconds);
  if (delay !== null) write("delay", Math.max(0, delay));
  if (page.browser && notes.camera) note("camera", "");
  node("light").className = node("note").hidden ? "good" : "bad";
}

function draw() {
  if (!page.last) return;
  page.views.scene.mirrored = isMirrored();
  page.views.picture.draw(page.last.image, page.last.frame.size, page.last.frame.hands, isMirrored());
}

function isMirrored() {
  return page.mirrored ?? (page.browser || Boolean(page.hello?.mirrored));
}

// Numbers that change with every frame cannot be read: they are averaged, and written a few times a second.
let averages = {};

function forget() {
  averages = {};
  for (const id of ["fps", "delay", "inference"]) node(id).textContent = "–";
}

function write(id, value) {
  const now = performance.now();
  const entry = (averages[id] ??= { mean: value, written: -Infinity });
  entry.mean += 0.15 * (value - entry.mean);
  if (now - entry.written < 300) return;
  entry.written = now;
  node(id).textContent = Math.round(entry.mean);
}

// ---------------------------------------------------------------- the server's time, for the delay of its frames

function askClock() {
  if (page.socket?.readyState === WebSocket.OPEN) {
    page.socket.send(JSON.stringify({ type: "clock", page: performance.now() }));
  }
}
setInterval(askClock, CLOCK_MS);

// The error is at most half the round trip, so the shortest is kept.
function setClock(message) {
  const now = performance.now();
  const round = now - message.page;
  if (!page.clock || round <= page.clock.round || now - page.clock.at > CLOCK_OLD_MS) {
    page.clock = { round, offset: message.server - (message.page + now) / 2, at: now };
  }
}

// ---------------------------------------------------------------- this browser's camera

const camera = new BrowserCamera(async () => {
  let refusal = "unplugged";
  while (page.browser && refusal) {
    note("camera", "The camera was unplugged. Trying again every second.");
    await new Promise((done) => setTimeout(done, RETRY_MS));
    if (page.browser) refusal = await camera.open();
  }
  if (!page.browser) return;
  note("camera", "");
  page.waiting = null;
  sendFrame();
});

async function useCamera(wanted) {
  disconnect();
  page.browser = wanted;
  const refusal = wanted ? await camera.open() : "";
  note("camera", refusal);
  if (refusal && page.hello.source === null) {
    node("name").textContent = "this browser's camera";
    return button("Start the camera");
  }
  if (refusal) {
    page.browser = false;
    setTimeout(() => note("camera", ""), REFUSAL_MS);
  }
  if (!page.browser) camera.close();
  connect();
}

// One frame is on its way at a time; the next is taken when the answer is here, and so is always the newest.
async function sendFrame() {
  const socket = page.socket;
  if (!page.browser || page.waiting || socket?.readyState !== WebSocket.OPEN) return;
  const waiting = (page.waiting = {});
  const frame = await camera.nextFrame();
  if (waiting !== page.waiting || socket.readyState !== WebSocket.OPEN) return;
  if (!frame) {
    page.waiting = null;
    return void setTimeout(sendFrame, RETRY_MS / 10);
  }
  Object.assign(waiting, frame);
  socket.send(frame.jpeg);
}

// ---------------------------------------------------------------- what a person can press

node("camera").addEventListener("click", () => useCamera(page.hello.source === null || !page.browser));
node("mirror").addEventListener("change", (event) => {
  page.mirrored = event.target.checked;
  draw();
  page.views?.scene.draw();
});
for (const part of ["mesh", "bones"]) {
  node(part).addEventListener("change", (event) => {
    if (!page.views) return;
    page.views.scene.shown[part] = event.target.checked;
    page.views.scene.draw();
  });
}
node("reset").addEventListener("click", () => {
  page.views?.scene.reset();
  page.views?.scene.draw();
});
addEventListener("resize", () => {
  draw();
  page.views?.scene.draw();
});
connect();
