// The wallet: unlocks, shows the code, renews it. Talks to its own server only.
//
// The token is made and stays in this browser; the secret leaves the address bar at once. Secret
// and token are kept before the server is asked: the same two unlock again, so an answer may get
// lost, and the page may be closed, without locking anybody out.
//
// With a key of its own (vault.js) the phone gets a code of hours and shows proofs made from it
// every few seconds (proof.js), network or not. Without one it gets bearer codes of minutes.
//
// A door's label opens this page with `#d=site/unit`. The door is kept in this page's memory for
// two minutes, goes into the proofs, and is never sent to a server.
//
// A record that speaks for others has two codes, its own and one for all of them (`kept.all`). Both
// are fetched and kept, so that the switch between them needs no network; it is off when the page
// opens. A colour that turns by itself does so here by the issuer's clock.
//
// The clock: a proof dated by a wrong clock is refused at the door, the most frequent refusal of
// honest people. The issuer's answer says what time it is; the difference is added to every proof
// and told to the person, because it is known only as of the last network.

import {qrcode} from "./qrcode.mjs";
import {holderCode} from "./proof.js";
import * as vault from "./vault.js";
import {say as sayIn, chooseLanguage, nextLanguage} from "./words.js";

const TOKEN = "menshen-token"; // of an unlocked record
const ASKED = "menshen-asked"; // {secret, token}: with what this phone last asked to be unlocked
const LANGUAGE = "menshen-language";
const PROOF_S = 5;
const DOOR_S = 120; // for how long a scanned label counts
const CLOCK_TOLD_S = 20; // a smaller difference troubles no door
const WORKER_ASKED_S = 3600;
const RETRY_S = [3, 10, 30, 60];
const RETRY_EXPIRED_S = 5; // somebody may stand at a door
const DOOR = /^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?\/[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?$/;
const QUIET = 4; // modules of white around a symbol (ISO/IEC 18004)

const SHAPES = {
  green: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.6 14.6-4.2-4.2 1.8-1.8 2.4 2.4 5.6-5.6 1.8 1.8z",
  yellow: "M12 2 1 21h22zm-1.2 7h2.4v6h-2.4zm0 7.4h2.4v2.4h-2.4z",
  red: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9zM6 10.6v2.8h12v-2.8z",
};

const $ = (id) => document.getElementById(id);

let language = chooseLanguage([localStorage.getItem(LANGUAGE) ?? "", ...navigator.languages]);
// What is shown: {token, text, colour, turns, iat_s, exp_s, again_s, ahead, bearer}. `ahead`: how
// many milliseconds the issuer's clock was ahead of ours; `bearer`: why the phone has no key, if so.
let shown = null;
let kept = null; // the phone's own code, with {all, party}: the one for `party` people, or null
let forAll = false;
let coloured = ""; // the colour on the screen
let key = null; // of what is shown, if it is a holder code
let drawn = ""; // the text in the picture
let provedS = -Infinity; // the newest proof's own time
let door = null; // {name, until}: milliseconds of our clock
let trouble = null; // {say, why}, said again when the language or the time changes
let locked = false; // unlocked once, and the key is gone
let failures = 0;
let renewAt = Infinity; // milliseconds of our clock
let busy = false;
let again = false;
let worker = null; // the service worker's registration, and when it was last asked for
let workerAt = 0;

function say(word, values) {
  return sayIn(language, word, values);
}

// What time the issuer's clock has, in milliseconds.
function now() {
  return Date.now() + (shown?.ahead ?? 0);
}

function works() {
  return Boolean(shown) && now() < 1000 * shown.exp_s;
}

async function post(path, headers, body) {
  const asked = Date.now();
  const answer = await fetch(path, {method: "POST", headers, body, cache: "no-store"});
  const at = (asked + Date.now()) / 2;
  const said = await answer.json().catch(() => ({error: String(answer.status)}));
  return {ok: answer.ok, status: answer.status, said, at};
}

function asked() {
  return JSON.parse(localStorage.getItem(ASKED));
}

function waiting() { // to be unlocked
  return Boolean(asked()) && asked().token !== localStorage.getItem(TOKEN);
}

function unlock(typed) {
  const secret = typed.replace(/[\s-]/g, "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
  if (asked()?.secret !== secret) {
    localStorage.setItem(ASKED, JSON.stringify({secret, token: newToken()}));
  }
  failures = 0;
  refresh();
}

// 32 random bytes as base64url, as the issuer wants it.
function newToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
}

// One request at a time.
async function refresh() {
  again = true;
  if (busy) return;
  busy = true;
  try {
    while (again) {
      again = false;
      renewAt = Infinity;
      await (waiting() ? activate() : renew());
    }
  } finally {
    busy = false;
  }
}

async function activate() {
  const {secret, token} = asked();
  const mine = await vault.keyOf(token);
  let answer;
  try {
    const body = JSON.stringify({secret, token, key: mine.text});
    answer = await post("/v1/activate", {"content-type": "application/json"}, body);
  } catch {
    return tryAgain("unlock-offline");
  }
  if (asked()?.token !== token) {
    again = true; // another secret was typed meanwhile
  } else if (answer.ok && answer.said.token === token) {
    localStorage.setItem(TOKEN, token);
    await vault.keepKeyOf(token);
    navigator.storage?.persist?.(); // what is unlocked is worth keeping
    $("secret").value = "";
    locked = false;
    forget();
    again = true;
    complain(null);
  } else if (["used", "unknown", "body", "key"].includes(answer.said.error)) {
    localStorage.removeItem(ASKED);
    renewAt = Date.now() + 1000 * RETRY_EXPIRED_S; // if it was unlocked before
    complain(answer.said.error === "body" ? "unknown" : answer.said.error);
  } else {
    tryAgain("unlock-server", answer.said.error ?? answer.status);
  }
}

async function renew() {
  const token = localStorage.getItem(TOKEN);
  if (!token) return;
  const mine = await vault.keyOf(token);
  const headers = {authorization: `Bearer ${token}`, "content-type": "application/json"};
  let answer;
  let all = null;
  try {
    answer = await post("/v1/code", headers, JSON.stringify({key: mine.text}));
    if (answer.ok && answer.said.party > 1) {
      const second = await post("/v1/code", headers, JSON.stringify({key: mine.text, party: true}));
      if (second.ok) all = second;
      else if (second.said.error !== "party") answer = second;
    }
  } catch {
    return tryAgain("offline");
  }
  if (localStorage.getItem(TOKEN) !== token) {
    again = true; // another tab was unlocked meanwhile
  } else if (answer.ok && answer.said.text) {
    locked = false;
    const code = ({said, at}) => { // whole seconds: half of one is lost
      return {...said, token, ahead: 1000 * said.iat_s + 500 - at, bearer: mine.why};
    };
    renewAt = Date.now() + 1000 * answer.said.again_s;
    failures = 0;
    trouble = null;
    show({...code(answer), all: all && code(all)}, mine);
    await vault.keepCode(kept);
    if (worker && Date.now() > workerAt + 1000 * WORKER_ASKED_S) askForWorker();
  } else if (answer.said.error === "token") {
    localStorage.removeItem(TOKEN);
    localStorage.removeItem(ASKED);
    forget();
    complain("token");
  } else if (answer.said.error === "key") {
    locked = true; // and nothing is thrown away: the key may only be out of reach
    forget();
    complain("key");
  } else {
    tryAgain("server", answer.said.error ?? answer.status);
  }
}

function show(code, pair) {
  kept = code;
  key = code.bearer ? null : pair.privateKey;
  choose();
}

function choose() {
  forAll &&= Boolean(kept.all);
  shown = forAll ? kept.all : kept;
  provedS = -Infinity;
  paint();
}

function paint() {
  const before = coloured;
  draw();
  if (coloured !== before) $("news").textContent = say("renewed", {colour: say(coloured)});
}

// What the code says now: it may have turned.
function colour() {
  const {turns} = shown;
  return turns && now() >= 1000 * turns.at_s ? turns.colour : shown.colour;
}

// The code of the last visit, for when there is no network.
async function remember() {
  const code = await vault.code();
  const pair = code && !code.bearer ? await vault.keyOf(code.token) : null;
  if (!code || shown || localStorage.getItem(TOKEN) !== code.token) return;
  if (code.bearer || pair.privateKey) show(code, pair);
}

function forget() {
  shown = kept = key = null;
  coloured = "";
  vault.drop("code");
}

function tryAgain(word, why) {
  const delay = works() ? RETRY_S[Math.min(failures, RETRY_S.length - 1)] : RETRY_EXPIRED_S;
  const longest = works() ? Math.max(1, shown.exp_s - now() / 1000) : delay;
  renewAt = Date.now() + 1000 * Math.min(delay, longest) * (0.75 + Math.random() / 2);
  failures += 1;
  trouble = {say: word, why};
  draw();
}

function complain(word) {
  trouble = word && {say: word};
  draw();
}

function draw() {
  document.documentElement.lang = say("tag");
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) {
    element.textContent = say(element.dataset.say);
  }
  $("language").textContent = sayIn(nextLanguage(language), "language");
  $("unlock").hidden = Boolean(localStorage.getItem(TOKEN)) && !locked;
  $("card").hidden = !shown;
  if (shown) {
    coloured = colour();
    $("card").dataset.colour = coloured;
    $("outline").setAttribute("d", SHAPES[coloured]);
    $("colour-name").textContent = say(coloured);
    const {turns} = shown;
    const later = turns && turns.colour !== coloured;
    write("turns", later ? say("turns", {colour: say(turns.colour), time: named(turns.at_s)}) : "");
    $("party").hidden = !kept.all;
    $("for-all").checked = forAll;
    write("people", say("for-all", {people: kept.party}));
    write("party-note", forAll ? say("for-all-note", {people: kept.party}) : "");
    $("meaning").textContent = say(`${coloured}-means`);
    $("action").textContent = say(`${coloured}-do`);
    $("symbol").setAttribute("aria-label", say("alt", {colour: say(coloured)}));
  }
  prove();
  count();
}

// Show a fresh proof, or the bearer code as it is.
async function prove() {
  if (!works() || document.hidden) return;
  const [code, iatS, name] = [shown, Math.floor(now() / 1000), door?.name ?? null];
  if (!key) return picture(code.text);
  if (iatS >= provedS && iatS < provedS + PROOF_S) return;
  provedS = iatS;
  const text = await holderCode(code.text, key, iatS, name);
  if (code === shown && name === (door?.name ?? null)) picture(text);
}

function picture(text) {
  if (text === drawn) return fit();
  const symbol = qrcode(0, "M"); // the smallest version that holds it
  symbol.addData(text, "Alphanumeric");
  symbol.make();
  const modules = symbol.getModuleCount();
  const canvas = $("symbol");
  canvas.width = canvas.height = modules + 2 * QUIET;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff"; // in any theme
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#000";
  for (let row = 0; row < modules; row += 1) {
    for (let column = 0; column < modules; column += 1) {
      if (symbol.isDark(row, column)) pen.fillRect(column + QUIET, row + QUIET, 1, 1);
    }
  }
  drawn = text;
  fit();
}

// Whole pixels for each module of the symbol: nothing for a camera to mistake at its edges.
function fit() {
  const modules = $("symbol").width;
  const scale = window.devicePixelRatio;
  const module = Math.max(1, Math.floor($("code").clientWidth * scale / modules));
  $("symbol").style.width = `${module * modules / scale}px`;
}

function count() {
  const left = works() ? Math.ceil((1000 * shown.exp_s - now()) / 1000) : 0;
  const offline = Boolean(left && key && trouble?.say === "offline"); // needs no alarm
  if (shown) {
    $("works").textContent = say(key ? "works-until" : "works-for");
    const minutes = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    write("clock", key ? at(shown.exp_s) : minutes);
    const fresh = Math.max(0, 1 - (now() / 1000 - provedS) / PROOF_S);
    $("progress").value = key ? fresh : left / (shown.exp_s - shown.iat_s);
    $("card").classList.toggle("over", !left);
    $("over").hidden = Boolean(left);
    $("left").hidden = $("progress").hidden = $("note").hidden = !left;
    write("note", say(key ? (offline ? "holder-offline" : "holder") : `bearer-${shown.bearer}`));
    write("wrong-clock", wrongClock());
    $("door").hidden = !(door && key && left);
    if (door) write("door-name", say("for-door", {door: door.name}));
  }
  let sentence = "";
  if (trouble && !offline) {
    const time = shown && at(shown.exp_s);
    sentence = say(trouble.say, {why: trouble.why, rest: say(left ? "until" : "nothing", {time})});
  }
  write("trouble", sentence);
}

function write(id, text) { // only news: a reader of screens reads it aloud
  if ($(id).textContent !== text) $(id).textContent = text;
}

// A moment of the issuer's clock as ours shows it.
function at(seconds) {
  return named(seconds - shown.ahead / 1000, key ? {} : {second: "2-digit"});
}

// A moment by its name, whatever our clock shows then; with its day if it is another, or its date.
function named(seconds, more = {}) {
  const moment = new Date(1000 * seconds);
  const today = moment.toDateString() === new Date(Date.now()).toDateString();
  const how = {hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...more};
  const near = moment - Date.now() < 6 * 86400_000;
  const day = near ? {weekday: "long"} : {day: "numeric", month: "long"};
  return moment.toLocaleString(language, today ? how : {...how, ...day});
}

function wrongClock() {
  const seconds = Math.round(Math.abs(shown.ahead) / 1000);
  if (!key || seconds < CLOCK_TOLD_S) return "";
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]
    .find(([, length]) => seconds >= 2 * length) ?? ["second", 1];
  const many = new Intl.NumberFormat(language, {style: "unit", unit, unitDisplay: "long"});
  const much = many.format(Math.round(seconds / size));
  return say(shown.ahead > 0 ? "slow" : "fast", {much});
}

function tick() {
  if (door && Date.now() >= door.until) forDoor(null);
  if (shown && colour() !== coloured) paint();
  prove();
  count();
  if (Date.now() >= renewAt && !document.hidden) refresh();
}

function forDoor(name) {
  door = name && {name, until: Date.now() + 1000 * DOOR_S};
  provedS = -Infinity;
  draw();
}

// The address's fragment: a door's label, or an activation secret. Neither stays in the address.
function readFragment() {
  let said = location.hash.slice(1);
  if (!said) return false;
  history.replaceState(null, "", location.pathname);
  if (said.startsWith("d=")) {
    said = said.slice(2).replaceAll("%2F", "/");
    if (DOOR.test(said)) forDoor(said);
    return false;
  }
  $("secret").value = said;
  unlock(said);
  return true;
}

// The service worker: this page without a network (worker.js). Needs https:// or localhost.
async function keepOffline() {
  if (!navigator.serviceWorker) return;
  const before = Boolean(navigator.serviceWorker.controller);
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (!before) return;
    // a newer page is there: take it when nobody looks, and nothing is typed or scanned
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && !door && !$("secret").value) location.reload();
    });
  });
  const wanted = {createScriptURL: () => "/worker.js"};
  const url = (window.trustedTypes?.createPolicy("menshen", wanted) ?? wanted).createScriptURL("");
  worker = await navigator.serviceWorker.register(url, {updateViaCache: "none"}).catch(() => null);
  workerAt = Date.now(); // the browser itself looks for a newer one soon after each opening
}

function askForWorker() {
  workerAt = Date.now();
  worker.update().catch(() => null);
}

$("language").addEventListener("click", () => {
  language = nextLanguage(language);
  localStorage.setItem(LANGUAGE, language);
  draw();
});
$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  unlock($("secret").value);
});
$("for-all").addEventListener("change", () => {
  forAll = $("for-all").checked;
  choose();
});
$("any-door").addEventListener("click", () => forDoor(null));
window.addEventListener("hashchange", () => readFragment());
window.addEventListener("resize", () => shown && fit());
window.addEventListener("online", refresh);
document.addEventListener("visibilitychange", tick);
setInterval(tick, 1000);

draw();
const unlocking = readFragment();
await remember();
if (!unlocking) refresh();
keepOffline();
