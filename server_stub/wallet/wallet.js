// The wallet: unlocks the record, shows its code, renews it. It talks only to its own server.
//
// The token is made in this browser and stays there; the secret leaves the address bar at once. Both
// are stored before the request to the server, and the same two unlock again: so a lost reply or a
// closed page locks nobody out.
//
// With a private key (vault.js) the phone gets a holder code, valid for hours, and shows a new proof
// every few seconds (proof.js), with or without a network. Without a key it gets bearer codes, valid
// for minutes.
//
// A door's label opens this page with `#d=site/unit`. The page keeps the door in memory for two
// minutes, puts it into the proofs, and never sends it to a server.
//
// A record with a party has two codes, its own and the party's (`codes.all`). Both are fetched and
// stored, so that the switch between them needs no network; it is off when the page opens. A
// scheduled change of colour happens here by the issuer's clock.
//
// The clock: doors refuse a proof that is dated by a wrong clock, the most frequent refusal of
// honest people. The issuer's reply holds its time. The page adds the difference to every proof, and
// shows it to the person, because the difference is only as recent as the last reply.

import {qrcode} from "./qrcode.mjs";
import {holderCode} from "./proof.js";
import * as vault from "./vault.js";
import {say as sayIn, chooseLanguage, nextLanguage} from "./words.js";

const TOKEN = "menshen-token"; // of an unlocked record
const REQUEST = "menshen-asked"; // {secret, token}: of this phone's last request to unlock
const LANGUAGE = "menshen-language";
const PROOF_S = 5;
const DOOR_S = 120; // how long a scanned label counts
const CLOCK_WARNING_S = 20; // doors accept a smaller difference
const WORKER_CHECK_S = 3600; // how often to look for a newer service worker
const RETRY_S = [3, 10, 30, 60];
const RETRY_EXPIRED_S = 5; // somebody may stand at a door
const DOOR = /^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?\/[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?$/;
const QUIET = 4; // modules of quiet zone around a symbol (ISO/IEC 18004)

const SHAPES = {
  green: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.6 14.6-4.2-4.2 1.8-1.8 2.4 2.4 5.6-5.6 1.8 1.8z",
  yellow: "M12 2 1 21h22zm-1.2 7h2.4v6h-2.4zm0 7.4h2.4v2.4h-2.4z",
  red: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9zM6 10.6v2.8h12v-2.8z",
};

const $ = (id) => document.getElementById(id);

let language = chooseLanguage([localStorage.getItem(LANGUAGE) ?? "", ...navigator.languages]);
// The code on the screen: {token, text, colour, turns, iat_s, exp_s, again_s, ahead, bearer}. `ahead`:
// how many milliseconds the issuer's clock is ahead of ours; `bearer`: why the phone has no key.
let current = null;
let codes = null; // the phone's own code, with {all, party}: the code for `party` people, or null
let forAll = false;
let screenColour = ""; // the colour on the screen
let key = null; // the private key of the current code, if it is a holder code
let symbolText = ""; // the text in the symbol on the screen
let proofS = -Infinity; // when the newest proof was made, Unix seconds of the issuer's clock
let door = null; // {name, until}: milliseconds of our clock
let trouble = null; // {say, why}: shown again when the language or the time changes
let locked = false; // the record was unlocked, but its key is gone
let failures = 0;
let renewAt = Infinity; // milliseconds of our clock
let busy = false;
let again = false;
let worker = null; // the service worker's registration
let workerAt = 0; // when it was last checked for a newer one, milliseconds of our clock

function say(word, values) {
  return sayIn(language, word, values);
}

// The time of the issuer's clock, in milliseconds.
function now() {
  return Date.now() + (current?.ahead ?? 0);
}

function isValid() {
  return Boolean(current) && now() < 1000 * current.exp_s;
}

async function post(path, headers, body) {
  const sentAt = Date.now();
  const response = await fetch(path, {method: "POST", headers, body, cache: "no-store"});
  const at = (sentAt + Date.now()) / 2;
  const reply = await response.json().catch(() => ({error: String(response.status)}));
  return {ok: response.ok, status: response.status, reply, at};
}

function lastRequest() {
  return JSON.parse(localStorage.getItem(REQUEST));
}

function isWaiting() { // for the reply that unlocks
  return Boolean(lastRequest()) && lastRequest().token !== localStorage.getItem(TOKEN);
}

function unlock(typed) {
  const secret = typed.replace(/[\s-]/g, "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
  if (lastRequest()?.secret !== secret) {
    localStorage.setItem(REQUEST, JSON.stringify({secret, token: newToken()}));
  }
  failures = 0;
  refresh();
}

// 32 random bytes as base64url, the form that the issuer requires.
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
      await (isWaiting() ? activate() : renew());
    }
  } finally {
    busy = false;
  }
}

async function activate() {
  const {secret, token} = lastRequest();
  const pair = await vault.keyOf(token);
  let response;
  try {
    const body = JSON.stringify({secret, token, key: pair.text});
    response = await post("/v1/activate", {"content-type": "application/json"}, body);
  } catch {
    return retryLater("unlock-offline");
  }
  if (lastRequest()?.token !== token) {
    again = true; // another secret was typed meanwhile
  } else if (response.ok && response.reply.token === token) {
    localStorage.setItem(TOKEN, token);
    await vault.keepKeyOf(token);
    navigator.storage?.persist?.(); // ask the browser not to evict the key
    $("secret").value = "";
    locked = false;
    forget();
    again = true;
    setTrouble(null);
  } else if (["used", "unknown", "body", "key"].includes(response.reply.error)) {
    localStorage.removeItem(REQUEST);
    renewAt = Date.now() + 1000 * RETRY_EXPIRED_S; // in case it was unlocked before
    setTrouble(response.reply.error === "body" ? "unknown" : response.reply.error);
  } else {
    retryLater("unlock-server", response.reply.error ?? response.status);
  }
}

async function renew() {
  const token = localStorage.getItem(TOKEN);
  if (!token) return;
  const pair = await vault.keyOf(token);
  const headers = {authorization: `Bearer ${token}`, "content-type": "application/json"};
  let response;
  let all = null;
  try {
    response = await post("/v1/code", headers, JSON.stringify({key: pair.text}));
    if (response.ok && response.reply.party > 1) {
      const second = await post("/v1/code", headers, JSON.stringify({key: pair.text, party: true}));
      if (second.ok) all = second;
      else if (second.reply.error !== "party") response = second;
    }
  } catch {
    return retryLater("offline");
  }
  if (localStorage.getItem(TOKEN) !== token) {
    again = true; // another tab was unlocked meanwhile
  } else if (response.ok && response.reply.text) {
    locked = false;
    const code = ({reply, at}) => { // iat_s is in whole seconds: half a second is lost on average
      return {...reply, token, ahead: 1000 * reply.iat_s + 500 - at, bearer: pair.why};
    };
    renewAt = Date.now() + 1000 * response.reply.again_s;
    failures = 0;
    trouble = null;
    show({...code(response), all: all && code(all)}, pair);
    await vault.keepCode(codes);
    if (worker && Date.now() > workerAt + 1000 * WORKER_CHECK_S) updateWorker();
  } else if (response.reply.error === "token") {
    localStorage.removeItem(TOKEN);
    localStorage.removeItem(REQUEST);
    forget();
    setTrouble("token");
  } else if (response.reply.error === "key") {
    locked = true; // the token stays: the key may only be out of reach
    forget();
    setTrouble("key");
  } else {
    retryLater("server", response.reply.error ?? response.status);
  }
}

function show(code, pair) {
  codes = code;
  key = code.bearer ? null : pair.privateKey;
  choose();
}

function choose() {
  forAll &&= Boolean(codes.all);
  current = forAll ? codes.all : codes;
  proofS = -Infinity;
  drawAndAnnounce();
}

function drawAndAnnounce() {
  const before = screenColour;
  draw();
  if (screenColour !== before) $("news").textContent = say("renewed", {colour: say(screenColour)});
}

// The code's colour now, after a scheduled change.
function colour() {
  const {turns} = current;
  return turns && now() >= 1000 * turns.at_s ? turns.colour : current.colour;
}

// Show the stored code of the last visit, in case there is no network.
async function remember() {
  const code = await vault.code();
  const pair = code && !code.bearer ? await vault.keyOf(code.token) : null;
  if (!code || current || localStorage.getItem(TOKEN) !== code.token) return;
  if (code.bearer || pair.privateKey) show(code, pair);
}

function forget() {
  current = codes = key = null;
  screenColour = "";
  vault.drop("code");
}

function retryLater(word, why) {
  const delay = isValid() ? RETRY_S[Math.min(failures, RETRY_S.length - 1)] : RETRY_EXPIRED_S;
  const longest = isValid() ? Math.max(1, current.exp_s - now() / 1000) : delay;
  renewAt = Date.now() + 1000 * Math.min(delay, longest) * (0.75 + Math.random() / 2);
  failures += 1;
  trouble = {say: word, why};
  draw();
}

function setTrouble(word) {
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
  $("card").hidden = !current;
  if (current) {
    screenColour = colour();
    $("card").dataset.colour = screenColour;
    $("outline").setAttribute("d", SHAPES[screenColour]);
    $("colour-name").textContent = say(screenColour);
    const {turns} = current;
    const willTurn = turns && turns.colour !== screenColour;
    write("turns", willTurn ? say("turns", {colour: say(turns.colour), time: timeText(turns.at_s)}) : "");
    $("party").hidden = !codes.all;
    $("for-all").checked = forAll;
    write("people", say("for-all", {people: codes.party}));
    write("party-note", forAll ? say("for-all-note", {people: codes.party}) : "");
    $("meaning").textContent = say(`${screenColour}-means`);
    $("action").textContent = say(`${screenColour}-do`);
    $("symbol").setAttribute("aria-label", say("alt", {colour: say(screenColour)}));
  }
  prove();
  updateCountdown();
}

// Show a fresh proof, or the bearer code as it is.
async function prove() {
  if (!isValid() || document.hidden) return;
  const [code, iatS, name] = [current, Math.floor(now() / 1000), door?.name ?? null];
  if (!key) return drawSymbol(code.text);
  if (iatS >= proofS && iatS < proofS + PROOF_S) return;
  proofS = iatS;
  const text = await holderCode(code.text, key, iatS, name);
  if (code === current && name === (door?.name ?? null)) drawSymbol(text);
}

function drawSymbol(text) {
  if (text === symbolText) return fit();
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
  symbolText = text;
  fit();
}

// Give each module of the symbol a whole number of pixels, so that its edges are sharp for a camera.
function fit() {
  const modules = $("symbol").width;
  const scale = window.devicePixelRatio;
  const module = Math.max(1, Math.floor($("code").clientWidth * scale / modules));
  $("symbol").style.width = `${module * modules / scale}px`;
}

function updateCountdown() {
  const remainingS = isValid() ? Math.ceil((1000 * current.exp_s - now()) / 1000) : 0;
  const offline = Boolean(remainingS && key && trouble?.say === "offline"); // needs no alarm
  if (current) {
    $("works").textContent = say(key ? "works-until" : "works-for");
    const minutes = `${Math.floor(remainingS / 60)}:${String(remainingS % 60).padStart(2, "0")}`;
    write("clock", key ? ownTimeText(current.exp_s) : minutes);
    const fresh = Math.max(0, 1 - (now() / 1000 - proofS) / PROOF_S);
    $("progress").value = key ? fresh : remainingS / (current.exp_s - current.iat_s);
    $("card").classList.toggle("over", !remainingS);
    $("over").hidden = Boolean(remainingS);
    $("left").hidden = $("progress").hidden = $("note").hidden = !remainingS;
    write("note", say(key ? (offline ? "holder-offline" : "holder") : `bearer-${current.bearer}`));
    write("wrong-clock", clockWarning());
    $("door").hidden = !(door && key && remainingS);
    if (door) write("door-name", say("for-door", {door: door.name}));
  }
  let sentence = "";
  if (trouble && !offline) {
    const time = current && ownTimeText(current.exp_s);
    sentence = say(trouble.say, {why: trouble.why, rest: say(remainingS ? "until" : "nothing", {time})});
  }
  write("trouble", sentence);
}

function write(id, text) { // only if it changed: a screen reader reads each change aloud
  if ($(id).textContent !== text) $(id).textContent = text;
}

// A time of the issuer's clock, converted to this phone's clock, which the person compares it with.
function ownTimeText(seconds) {
  return timeText(seconds - current.ahead / 1000, key ? {} : {second: "2-digit"});
}

// A time as text, not converted to this phone's clock; with the weekday or date if it is not today.
function timeText(seconds, more = {}) {
  const moment = new Date(1000 * seconds);
  const today = moment.toDateString() === new Date(Date.now()).toDateString();
  const options = {hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...more};
  const near = moment - Date.now() < 6 * 86400_000;
  const day = near ? {weekday: "long"} : {day: "numeric", month: "long"};
  return moment.toLocaleString(language, today ? options : {...options, ...day});
}

function clockWarning() {
  const seconds = Math.round(Math.abs(current.ahead) / 1000);
  if (!key || seconds < CLOCK_WARNING_S) return "";
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]
    .find(([, length]) => seconds >= 2 * length) ?? ["second", 1];
  const format = new Intl.NumberFormat(language, {style: "unit", unit, unitDisplay: "long"});
  const much = format.format(Math.round(seconds / size));
  return say(current.ahead > 0 ? "slow" : "fast", {much});
}

function tick() {
  if (door && Date.now() >= door.until) setDoor(null);
  if (current && colour() !== screenColour) drawAndAnnounce();
  prove();
  updateCountdown();
  if (Date.now() >= renewAt && !document.hidden) refresh();
}

function setDoor(name) {
  door = name && {name, until: Date.now() + 1000 * DOOR_S};
  proofS = -Infinity;
  draw();
}

// The address's fragment: a door's label, or an activation secret. Neither stays in the address.
function readFragment() {
  const fragment = location.hash.slice(1);
  if (!fragment) return false;
  history.replaceState(null, "", location.pathname);
  if (fragment.startsWith("d=")) {
    const name = fragment.slice(2).replaceAll("%2F", "/");
    if (DOOR.test(name)) setDoor(name);
    return false;
  }
  $("secret").value = fragment;
  unlock(fragment);
  return true;
}

// Register the service worker (worker.js), which serves this page without a network. Needs https://
// or localhost.
async function registerWorker() {
  if (!navigator.serviceWorker) return;
  const hadController = Boolean(navigator.serviceWorker.controller);
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (!hadController) return;
    // there is a newer page: load it while this one is hidden and has no input
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && !door && !$("secret").value) location.reload();
    });
  });
  const rules = {createScriptURL: () => "/worker.js"};
  const url = (window.trustedTypes?.createPolicy("menshen", rules) ?? rules).createScriptURL("");
  worker = await navigator.serviceWorker.register(url, {updateViaCache: "none"}).catch(() => null);
  workerAt = Date.now(); // the browser checks for a newer one soon after the page opens
}

function updateWorker() {
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
$("any-door").addEventListener("click", () => setDoor(null));
window.addEventListener("hashchange", () => readFragment());
window.addEventListener("resize", () => current && fit());
window.addEventListener("online", refresh);
document.addEventListener("visibilitychange", tick);
setInterval(tick, 1000);

draw();
const isUnlocking = readFragment();
await remember();
if (!isUnlocking) refresh();
registerWorker();
