// One card for each hand: side, id, score, and the 23 angles as bars between their limits.

// Short, as two hands stand side by side; the whole name is the row's title.
const MOTIONS = { flexion: "flex", abduction: "abduct", rotation: "rotate" };

function element(name, className, parent, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

class Card {
  constructor(parent, hello) {
    this.root = element("article", "card", parent);
    const head = element("h2", "", this.root);
    this.side = element("b", "", head);
    this.score = element("span", "", head);
    this.place = element("span", "", head);
    const fingers = element("div", "fingers", this.root);
    const columns = {};
    this.rows = hello.angles.map((name, index) => {
      const [finger, joint, motion] = name.split("_");
      if (!columns[finger]) {
        columns[finger] = element("div", "finger", fingers);
        element("h3", "", columns[finger], finger[0].toUpperCase() + finger.slice(1));
      }
      const row = element("div", "angle", columns[finger]);
      const [low, high] = hello.limits[index];
      row.title = `${name}, ${low}° to ${high}°`;
      element("span", "", row, `${joint.toUpperCase()} ${MOTIONS[motion]}`);
      const value = element("output", "", row);
      const bar = element("div", "bar", row);
      const fill = element("i", "", bar);
      const zero = (100 * (0 - low)) / (high - low);
      element("u", "", bar).style.left = `${zero}%`;
      const tip = hello.colors[hello.bones[4 * Object.keys(columns).indexOf(finger)][1]];
      fill.style.background = `rgb(${tip.join(" ")})`;
      return { value, fill, low, high, zero };
    });
  }

  show(hand) {
    this.root.classList.toggle("left", hand.side === "left");
    setText(this.side, `${hand.side === "left" ? "Left" : "Right"} hand`);
    setText(this.score, `id ${hand.id ?? "–"} · score ${hand.score.toFixed(2)} · ±${hand.uncertainty_mm.toFixed(0)} mm`);
    setText(this.place, `${Math.round(100 * hand.joints_camera[0][2])} cm away`);
    this.rows.forEach((row, index) => {
      const degrees = hand.angles[index];
      const share = (100 * (Math.min(Math.max(degrees, row.low), row.high) - row.low)) / (row.high - row.low);
      setText(row.value, `${Math.round(degrees)}°`);
      row.fill.style.left = `${Math.min(share, row.zero)}%`;
      row.fill.style.width = `${Math.abs(share - row.zero)}%`;
    });
  }
}

export class Cards {
  constructor(root, hello) {
    this.root = root;
    this.hello = hello;
    this.cards = new Map();
    root.replaceChildren();
    this.empty = element("p", "empty", root, "No hand in view");
  }

  show(hands) {
    const seen = new Set(hands.map((hand, index) => hand.id ?? index));
    for (const [id, card] of this.cards) {
      if (!seen.has(id)) {
        card.root.remove();
        this.cards.delete(id);
      }
    }
    hands.forEach((hand, index) => {
      const id = hand.id ?? index;
      if (!this.cards.has(id)) this.cards.set(id, new Card(this.root, this.hello));
      this.cards.get(id).show(hand);
    });
    this.empty.hidden = hands.length > 0;
  }
}
