// The wallet: unlocks, shows the code, renews it at half of its life. Talks to its own server
// only. The token is made and stays in this browser; the secret leaves the address bar at once.
// Secret and token are kept before the server is asked: the same two unlock again, so an answer
// may get lost, and the page may be closed, without locking anybody out.

const TOKEN = "menshen-token"; // of an unlocked record
const ASKED = "menshen-asked"; // {secret, token}: with what this phone last asked to be unlocked
const LANGUAGE = "menshen-language";
const RETRY_S = [3, 10, 30, 60];
const RETRY_EXPIRED_S = 5; // somebody may stand at a door

const SHAPES = {
  green: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.6 14.6-4.2-4.2 1.8-1.8 2.4 2.4 5.6-5.6 1.8 1.8z",
  yellow: "M12 2 1 21h22zm-1.2 7h2.4v6h-2.4zm0 7.4h2.4v2.4h-2.4z",
  red: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9zM6 10.6v2.8h12v-2.8z",
};

const SAY = {
  en: {
    "other": "中文",
    "title": "My door code",
    "unlock-how": "Type the activation secret that you were given. It unlocks one phone.",
    "secret": "Activation secret",
    "unlock": "Unlock",
    "works-for": "This code works for another",
    "over": "This code has expired. No door takes it.",
    "means": "What it means",
    "privacy": "This code holds no name and no number. Doors keep no record of who passed.",
    "green": "Green", "yellow": "Yellow", "red": "Red",
    "green-means": "You may pass where green is asked for.",
    "green-do": "Hold the screen still, a hand’s width from the door’s camera, and wait for the green light.",
    "yellow-means": "You are asked to stay under observation. Most doors do not open for this code.",
    "yellow-do": "Ask the staff at the door. If you think this is a mistake, go to the office that enrolled you.",
    "red-means": "You are asked to stay apart from others. Doors do not open for this code.",
    "red-do": "Stay where you are and call the office that enrolled you. Hospitals take you in whatever the colour.",
    "alt": "QR code, {colour}",
    "renewed": "The code was renewed: {colour}.",
    "offline": "The code cannot be renewed now: this phone does not reach the issuer. {rest}",
    "server": "The code cannot be renewed now: the issuer answers with a fault ({why}). {rest}",
    "until": "The code shown works until {time}. Trying again by itself.",
    "nothing": "Trying again by itself.",
    "token": "This phone is not unlocked any more. Ask for a new activation secret.",
    "unknown": "This activation secret is not known. Check each letter.",
    "used": "This activation secret was used already. Ask for a new one.",
    "unlock-offline": "No answer from the issuer, so it is not known yet whether this phone is unlocked. Trying again by itself; on this phone the secret stays good.",
    "unlock-server": "The issuer answers with a fault ({why}), so this phone is not known to be unlocked. Trying again by itself; on this phone the secret stays good.",
  },
  zh: {
    "other": "English",
    "title": "我的通行码",
    "unlock-how": "请输入发给您的激活密码。它只能激活一部手机。",
    "secret": "激活密码",
    "unlock": "激活",
    "works-for": "此码有效时间还剩",
    "over": "此码已过期，任何门都不接受。",
    "means": "这是什么意思",
    "privacy": "此码不含姓名和号码。门不记录谁通过了。",
    "green": "绿码", "yellow": "黄码", "red": "红码",
    "green-means": "要求绿码的地方您可以通行。",
    "green-do": "请把屏幕对准门上的摄像头，相距约一掌，保持不动，等绿灯亮起。",
    "yellow-means": "您需要接受观察。多数门不会为此码打开。",
    "yellow-do": "请询问门口的工作人员。如认为有误，请联系为您登记的机构。",
    "red-means": "您需要与他人隔开。门不会为此码打开。",
    "red-do": "请留在原地，致电为您登记的机构。医院不论颜色都会接诊。",
    "alt": "二维码，{colour}",
    "renewed": "码已更新：{colour}。",
    "offline": "现在无法更新：手机连不上签发方。{rest}",
    "server": "现在无法更新：签发方出错（{why}）。{rest}",
    "until": "所显示的码在 {time} 之前有效。会自动重试。",
    "nothing": "会自动重试。",
    "token": "这部手机已不再激活。请申请新的激活密码。",
    "unknown": "没有这个激活密码。请逐字核对。",
    "used": "这个激活密码已经用过。请申请新的。",
    "unlock-offline": "签发方没有回答，还不知道这部手机是否已激活。会自动重试；在这部手机上密码仍然有效。",
    "unlock-server": "签发方出错（{why}），还不知道这部手机是否已激活。会自动重试；在这部手机上密码仍然有效。",
  },
};

const $ = (id) => document.getElementById(id);

let language = localStorage.getItem(LANGUAGE)
  ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
let shown = null; // the code on the screen: {svg, colour, iat, exp}, milliseconds of our clock
let trouble = null; // {say, why}, said again when the language or the time changes
let failures = 0;
let renewAt = Infinity; // milliseconds of our clock
let busy = false;
let again = false;

function say(word, values = {}) {
  return SAY[language][word].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

async function post(path, headers, body) {
  const answer = await fetch(path, {method: "POST", headers, body, cache: "no-store"});
  const said = await answer.json().catch(() => ({error: String(answer.status)}));
  const ahead = Date.parse(answer.headers.get("date")) - Date.now();
  return {ok: answer.ok, status: answer.status, said, ahead: Number.isFinite(ahead) ? ahead : 0};
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
  let answer;
  try {
    const body = JSON.stringify({secret, token});
    answer = await post("/v1/activate", {"content-type": "application/json"}, body);
  } catch {
    return tryAgain("unlock-offline");
  }
  if (asked()?.token !== token) {
    again = true; // another secret was typed meanwhile
  } else if (answer.ok && answer.said.token === token) {
    localStorage.setItem(TOKEN, token);
    $("secret").value = "";
    shown = null;
    again = true;
    complain(null);
  } else if (["used", "unknown", "body"].includes(answer.said.error)) {
    localStorage.removeItem(ASKED);
    renewAt = Date.now() + 1000 * RETRY_EXPIRED_S; // if it was unlocked before
    complain(answer.said.error === "used" ? "used" : "unknown");
  } else {
    tryAgain("unlock-server", answer.said.error ?? answer.status);
  }
}

async function renew() {
  const token = localStorage.getItem(TOKEN);
  if (!token) return;
  let answer;
  try {
    answer = await post("/v1/code", {authorization: `Bearer ${token}`});
  } catch {
    return tryAgain("offline");
  }
  if (answer.ok && answer.said.svg) {
    show(answer.said, answer.ahead);
  } else if (answer.said.error === "token") {
    localStorage.removeItem(TOKEN);
    localStorage.removeItem(ASKED);
    shown = null;
    complain("token");
  } else {
    tryAgain("server", answer.said.error ?? answer.status);
  }
}

function show(said, ahead) {
  const changed = !shown || shown.colour !== said.colour;
  shown = {svg: said.svg, colour: said.colour, iat: said.iat_s * 1000 - ahead, exp: said.exp_s * 1000 - ahead};
  renewAt = (Date.now() + shown.exp) / 2;
  failures = 0;
  trouble = null;
  draw();
  if (changed) $("news").textContent = say("renewed", {colour: say(said.colour)});
}

function tryAgain(word, why) {
  const works = shown && Date.now() < shown.exp;
  const delay = works ? RETRY_S[Math.min(failures, RETRY_S.length - 1)] : RETRY_EXPIRED_S;
  const longest = works ? Math.max(1, (shown.exp - Date.now()) / 1000) : delay;
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
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) {
    element.textContent = say(element.dataset.say);
  }
  $("language").textContent = say("other");
  $("unlock").hidden = Boolean(localStorage.getItem(TOKEN));
  $("card").hidden = !shown;
  if (shown) {
    $("card").dataset.colour = shown.colour;
    $("outline").setAttribute("d", SHAPES[shown.colour]);
    $("colour-name").textContent = say(shown.colour);
    $("meaning").textContent = say(`${shown.colour}-means`);
    $("action").textContent = say(`${shown.colour}-do`);
    $("symbol").alt = say("alt", {colour: say(shown.colour)});
    const picture = `data:image/svg+xml,${encodeURIComponent(shown.svg)}`;
    if ($("symbol").src !== picture) $("symbol").src = picture;
    fit();
  }
  count();
}

// Whole pixels for each module of the symbol: nothing for a camera to mistake at its edges.
function fit() {
  const modules = Number(shown.svg.match(/viewBox="0 0 (\d+) /)[1]);
  const scale = window.devicePixelRatio;
  const module = Math.max(1, Math.floor($("code").clientWidth * scale / modules));
  $("symbol").style.width = `${module * modules / scale}px`;
}

function count() {
  const left = shown ? Math.max(0, Math.ceil((shown.exp - Date.now()) / 1000)) : 0;
  if (shown) {
    $("clock").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    $("progress").value = left * 1000 / (shown.exp - shown.iat);
    $("card").classList.toggle("over", !left);
    $("over").hidden = Boolean(left);
    $("left").hidden = $("progress").hidden = !left;
  }
  let sentence = "";
  if (trouble) {
    const time = shown && new Date(shown.exp).toLocaleTimeString(language);
    sentence = say(trouble.say, {why: trouble.why, rest: say(left ? "until" : "nothing", {time})});
  }
  if ($("trouble").textContent !== sentence) $("trouble").textContent = sentence;
}

function tick() {
  count();
  if (Date.now() >= renewAt && !document.hidden) refresh();
}

function readFragment() {
  const secret = decodeURIComponent(location.hash.slice(1));
  if (!secret) return false;
  history.replaceState(null, "", location.pathname);
  $("secret").value = secret;
  unlock(secret);
  return true;
}

$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem(LANGUAGE, language);
  draw();
});
$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  unlock($("secret").value);
});
window.addEventListener("hashchange", readFragment);
window.addEventListener("resize", () => shown && fit());
window.addEventListener("online", refresh);
document.addEventListener("visibilitychange", tick);
setInterval(tick, 1000);

draw();
if (!readFragment()) refresh();
