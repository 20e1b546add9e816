// Stores the phone's keys and its last code in IndexedDB, so that they outlive a closed page.
// A private key is made here, is not extractable, and never leaves the browser.

const NAME = "menshen";
const STORE = "wallet";

// The key pair of `token`, made at the first call: {privateKey, text}; `text` is base64 of the 32 raw
// public bytes. Or {why}: "insecure" if the page came over plain HTTP, "old" if the browser has no
// Ed25519 or cannot store a key.
export async function keyOf(token) {
  if (!window.isSecureContext || !crypto.subtle) return {why: "insecure"};
  try {
    const stored = await get(`key ${token}`);
    if (stored) return stored;
    const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const key = {privateKey: pair.privateKey, text: btoa(String.fromCharCode(...raw))};
    await change((store) => store.add(key, `key ${token}`)).catch(() => null); // another tab was first
    return await get(`key ${token}`) ?? {why: "old"};
  } catch {
    return {why: "old"};
  }
}

// Delete every key but the one of `token`.
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

function ask(query) {
  return transact("readonly", query);
}

function change(query) {
  return transact("readwrite", query);
}

async function transact(mode, query) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = query(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
  });
}
