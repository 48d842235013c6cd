// What the page shows now: in one object, and in the address, so that a link shows the same.

const DEFAULTS = {};
const STATE = {};

/** Set what is shown where the address says nothing else. */
function begin(defaults) {
  Object.assign(DEFAULTS, defaults);
  readAddress();
}

/** Read the state from the address; values of another type than the default's are left aside. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const text = given.get(name);
    const value = text === null ? usual : typeof usual === "string" ? text : Number(text);
    STATE[name] = Number.isNaN(value) ? usual : value;
  }
}

/** Write what differs from the default into the address. */
function writeAddress() {
  const changed = Object.entries(STATE).filter(([name, value]) => value !== DEFAULTS[name]);
  const text = new URLSearchParams(changed).toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

/** Change the state and draw it. */
function change(values) {
  Object.assign(STATE, values);
  writeAddress();
  draw();
}
