// The words of a page in every language. `edge/words.py` fills in its texts and serves it.

const TEXTS = {"{texts}": {}};
const LANGUAGES = Object.keys(TEXTS);

// The text for `key`, with `values` in its places.
export function say(language, key, values = {}) {
  return (TEXTS[language][key] ?? key).replace(/\{(\w+)\}/g, (slot, name) => values[name] ?? slot);
}

// The first language of `wanted` that is here: the tags of navigator.languages, or a stored one.
export function chooseLanguage(wanted) {
  for (const tag of wanted) {
    const found = LANGUAGES.find((language) => `${tag}-`.toLowerCase().startsWith(`${language}-`));
    if (found) return found;
  }
  return LANGUAGES[0];
}

// The language after `language`, for a button that goes through them.
export function nextLanguage(language) {
  return LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
}
