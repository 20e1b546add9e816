// Holder codes: the phone's own COSE_Sign1 around the issuer's CWT (edge/wire/README.md, section 9).
// Proofs are not stored: a new one is made every few seconds and is valid for about a minute.

const PREFIX = "DC1:";
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"; // RFC 9285
const HEAD = [0xa2, 0x01, 0x32, 0x0d]; // a map of two; alg (1): -19, Ed25519; kcwt (13): the CWT follows
const IAT = 0x06;
const AUD = 0x03;
const utf8 = new TextEncoder();

// The text of a holder code. `text`: the issuer's code; `iatS`: Unix seconds; `door`: "site/unit" or null.
export async function holderCode(text, privateKey, iatS, door) {
  const cwt = base45Decode(text.slice(PREFIX.length));
  const payload = byteString(claims(iatS, door));
  const header = byteString([...HEAD, ...cwt]);
  const aad = byteString(utf8.encode("menshen-holder-1"));
  const toSign = [0x84, ...string(0x60, utf8.encode("Signature1")), ...header, ...aad, ...payload];
  const signature = await crypto.subtle.sign("Ed25519", privateKey, Uint8Array.from(toSign));
  const message = [0x84, ...header, 0xa0, ...payload, ...byteString(new Uint8Array(signature))];
  return PREFIX + base45Encode(message);
}

function claims(iatS, door) {
  const iat = [IAT, 0x1a, iatS >>> 24, iatS >>> 16 & 255, iatS >>> 8 & 255, iatS & 255];
  return door ? [0xa2, AUD, ...string(0x60, utf8.encode(door)), ...iat] : [0xa1, ...iat];
}

function byteString(bytes) {
  return string(0x40, bytes);
}

// CBOR (RFC 8949 section 3): a byte or text string, with its length in the shortest form.
function string(kind, bytes) {
  const n = bytes.length;
  const length = n < 24 ? [kind | n] : n < 256 ? [kind | 24, n] : [kind | 25, n >> 8, n & 255];
  return [...length, ...bytes];
}

export function base45Encode(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 2) {
    const pair = i + 1 < bytes.length;
    const n = pair ? bytes[i] * 256 + bytes[i + 1] : bytes[i];
    text += ALPHABET[n % 45] + ALPHABET[Math.floor(n / 45) % 45];
    if (pair) text += ALPHABET[Math.floor(n / 2025)];
  }
  return text;
}

export function base45Decode(text) {
  const bytes = [];
  for (let i = 0; i < text.length; i += 3) {
    const digits = [...text.slice(i, i + 3)].map((letter) => ALPHABET.indexOf(letter));
    const n = digits.reduceRight((sum, digit) => sum * 45 + digit, 0);
    const max = digits.length === 3 ? 65535 : digits.length === 2 ? 255 : -1;
    if (digits.includes(-1) || n > max) throw new Error("this is not Base45");
    if (max > 255) bytes.push(n >> 8);
    bytes.push(n & 255);
  }
  return bytes;
}
