// Asks for the newest view, draws it, asks again. What is drawn comes from this unit alone.
import {say as sayIn, chooseLanguage, nextLanguage} from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MARKS = { good: "●", hint: "▲", bad: "■" };
const AGAIN_MS = 2000;
const byId = (id) => document.getElementById(id);

let language = chooseLanguage(navigator.languages);
let last = null;

const say = (key, values) => sayIn(language, key, values);

function make(parent, name, attributes = {}, text = "") {
  const svg = parent.namespaceURI === SVG;
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

function speak() {
  document.documentElement.lang = say("tag");
  document.title = say("title");
  for (const part of document.querySelectorAll("[data-say]"))
    part.textContent = say(part.dataset.say);
  for (const part of document.querySelectorAll("[data-say-alt]"))
    part.alt = say(part.dataset.sayAlt);
  byId("language").textContent = sayIn(nextLanguage(language), "language");
  byId("minute").setAttribute("aria-label", say("minute"));
  if (last) draw(last);
  else advise([{ key: "waiting", level: "hint", values: {} }]);
}

function advise(all) {
  const shown = all.slice(0, 3).map((one) => [
    one.level,
    one.key === "waiting" ? say("waiting") : say(`advice-${one.key}`, one.values),
  ]);
  const list = byId("advice");
  const now = JSON.stringify(shown);
  if (list.dataset.shown === now) return; // a screen reader speaks when it changes
  list.dataset.shown = now;
  list.replaceChildren();
  for (const [level, text] of shown) {
    const item = make(list, "li", { class: level });
    make(item, "span", { "aria-hidden": "true" }, MARKS[level]);
    make(item, "span", {}, text);
  }
}

function describe(region) {
  const size = region.module_px === null
    ? say("side", { px: region.side_px.toFixed(0) })
    : say("module", { px: region.module_px.toFixed(1) });
  const tilt = region.tilt_degrees < 10 ? ""
    : ", " + say("tilt", { degrees: region.tilt_degrees.toFixed(0) });
  return `${say(region.kind)}: ${size}${tilt}`;
}

function drawBoxes(view) {
  const boxes = byId("boxes");
  const [width, height] = view.size;
  boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
  boxes.replaceChildren();
  const list = byId("regions");
  list.replaceChildren();
  if (!view.regions.length) {
    const [left, top, right, bottom] = view.measured;
    make(boxes, "rect",
      { class: "measured", x: left, y: top, width: right - left, height: bottom - top });
    make(list, "li", { class: "soft" }, say("none-in-view"));
  }
  view.regions.forEach((region, i) => {
    make(boxes, "polygon", { class: region.kind, points: region.corners.join(" ") });
    const [x, y] = region.corners.reduce((a, b) => (b[0] + b[1] < a[0] + a[1] ? b : a));
    const size = width / 32;
    const top = Math.max(0, y - size), left = Math.max(0, x);
    make(boxes, "rect", { class: `tag ${region.kind}`, x: left, y: top, width: size, height: size });
    make(boxes, "text",
      { x: left + size / 2, y: top + size * .78, "font-size": size * .8 }, String(i + 1));
    const item = make(list, "li", { class: region.kind });
    make(item, "b", {}, String(i + 1));
    item.append(describe(region));
  });
}

function drawSharpness(view) {
  byId("sharpness").textContent = view.sharpness ?? "–";
  byId("best").textContent = view.best === null ? "" : say("best", { n: view.best });
  byId("edges").textContent =
    view.edge_px === null ? say("no-edges") : say("edges", { px: view.edge_px.toFixed(1) });
  byId("bar").children[0].style.width = `${view.sharpness ?? 0}%`;
  byId("bar").children[1].style.left = `calc(${view.best ?? 0}% - 3px)`;
  byId("minute").querySelector("polyline").setAttribute("points",
    view.minute.map(([ago, sharp]) => `${(60 - ago).toFixed(2)},${100 - sharp}`).join(" "));
}

function exposure(taken) {
  let told = say("shutter",
    { n: Math.round(1e6 / Math.max(taken.shutter_us, 1)), gain: taken.gain.toFixed(1) });
  const lens = taken.lens_dioptres;
  if (lens !== null)
    told += " · " + (lens > .05 ? say("lens", { m: (1 / lens).toFixed(2) }) : say("lens-far"));
  return told;
}

function drawFigures(view) {
  const list = byId("figures");
  list.replaceChildren();
  const add = (name, value, small = "") => {
    const pair = make(list, "div");
    make(pair, "dt", {}, say(name));
    const told = make(pair, "dd", {}, value);
    if (small) make(told, "small", {}, small);
  };
  const percent = (share) => ({ n: Math.round(100 * share) });
  const dropped = view.dropped === null ? "" : " · " + say("dropped", { n: view.dropped });
  add("frames", say("a-second", { n: view.frames_per_s.toFixed(1) }) + dropped);
  if (view.decode_ms !== null)
    add("decoding",
      say("ms", { n: view.decode_ms.toFixed(1) }) + (view.still ? " · " + say("still") : ""),
      view.steps.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", "));
  add("light", say("mean", { n: view.frame_mean.toFixed(0) }) + " · " +
    say("clipped", percent(view.light.clipped)));
  if (view.exposure) add("exposure", exposure(view.exposure));
  if (view.read_share !== null) add("in-view", say("share", percent(view.read_share)));
}

function draw(view) {
  byId("picture").src = view.picture;
  byId("detail").src = view.detail;
  byId("frame").classList.add("seen");
  const left = Math.max(0, Math.round(view.left_s));
  const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  byId("ends").textContent = say("ends", { time });
  advise(view.advice);
  drawBoxes(view);
  drawSharpness(view);
  drawFigures(view);
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`now.json?after=${last?.number ?? 0}`);
      if (!answer.ok) throw new Error(String(answer.status));
      const view = await answer.json();
      if (view.number) draw((last = view));
      byId("gone").hidden = true;
    } catch {
      byId("gone").hidden = false;
      await new Promise((after) => setTimeout(after, AGAIN_MS));
    }
  }
}

byId("language").onclick = () => {
  language = nextLanguage(language);
  speak();
};

speak();
follow();
