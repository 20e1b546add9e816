// What outlives a closed page and is more than a word: the phone's keys and its last code, in
// IndexedDB. A private key is made here, is not extractable, and never leaves the browser.

const NAME = "menshen";
const STORE = "wallet";

// The key pair that belongs to `token`, made at the first call: {privateKey, text}, `text` being
// base64 of the 32 raw public bytes. Or {why}: "insecure" when the page came over plain HTTP,
// "old" when the browser has no Ed25519 or cannot keep a key.
export async function keyOf(token) {
  if (!window.isSecureContext || !crypto.subtle) return {why: "insecure"};
  try {
    const known = await get(`key ${token}`);
    if (known) return known;
    const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const made = {privateKey: pair.privateKey, text: btoa(String.fromCharCode(...raw))};
    await change((store) => store.add(made, `key ${token}`)).catch(() => null); // another tab's won
    return await get(`key ${token}`) ?? {why: "old"};
  } catch {
    return {why: "old"};
  }
}

// Forget every key but the one of `token`.
export async function keepKeyOf(token) {
  const names = await ask((store) => store.getAllKeys()).catch(() => []);
  for (const name of names) {
    if (name.startsWith("key ") && name !== `key ${token}`) await drop(name);
  }
}

export async function code() {
  return get("code").catch(() => null);
}

export async function keepCode(value) {
  return change((store) => store.put(value, "code")).catch(() => null);
}

export async function drop(name) {
  return change((store) => store.delete(name)).catch(() => null);
}

function get(name) {
  return ask((store) => store.get(name));
}

function ask(what) {
  return during("readonly", what);
}

function change(what) {
  return during("readwrite", what);
}

async function during(mode, what) {
  const database = await opened();
  try {
    return await new Promise((done, failed) => {
      const transaction = database.transaction(STORE, mode);
      const request = what(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  } finally {
    database.close();
  }
}

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => done(request.result);
    request.onerror = request.onblocked = () => failed(request.error);
  });
}
