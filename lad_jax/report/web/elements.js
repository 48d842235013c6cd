// Elements of the page: made, filled, and told what the keyboard does in them.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes named on… are listeners, texts among the children are text and never markup. */
function html(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A drop-down list with a label; `choices` are [value, text]. */
function choice(label, choices, chosen, onchoice) {
  const options = choices.map(([value, text]) => html("option", { value, selected: value === chosen }, text));
  return html("label", {}, label, html("select", { onchange: (event) => onchoice(event.target.value) }, options));
}

/** A slider with a label and a text of its value. */
function slider(label, { min, max, step, value, text, id }, oninput) {
  const output = html("output", {}, text);
  const input = html("input", {
    type: "range",
    id,
    min,
    max,
    step,
    value,
    "aria-valuetext": text,
    oninput: (event) => oninput(Number(event.target.value)),
  });
  return html("label", { class: "slider" }, label, input, output);
}

/** A box that is ticked or not. */
function tick(label, checked, onchange, title = null) {
  const input = html("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked) });
  return html("label", { title }, input, label);
}

/** A list of which one row is chosen, by a click or the arrow keys; the list itself has the focus. */
function listbox(id, label, rows, chosen, onchoice, attributes = {}) {
  const options = rows.map(({ key, content, ...rest }) =>
    html(
      "li",
      {
        role: "option",
        id: `${id}-${key}`,
        "aria-selected": String(key === chosen),
        onclick: () => onchoice(key),
        ...rest,
      },
      content,
    ),
  );
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
  const onkeydown = (event) => {
    if (!(event.key in steps) || !rows.length) return;
    event.preventDefault();
    const place = rows.findIndex((row) => row.key === chosen) + steps[event.key];
    onchoice(rows[Math.max(0, Math.min(rows.length - 1, place))].key);
  };
  return html(
    "ul",
    {
      role: "listbox",
      id,
      tabindex: 0,
      "aria-label": label,
      "aria-activedescendant": rows.some((row) => row.key === chosen) ? `${id}-${chosen}` : null,
      onkeydown,
      ...attributes,
    },
    options,
  );
}

/** Put new content in a node; whatever had the focus there, or was scrolled, stays so if it is there again. */
function refill(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  const path = focused && pathTo(node, focused);
  const scrolled = new Map([...node.querySelectorAll("[data-scroll]")].map((each) => [each.id, each.scrollTop]));
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const [id, top] of scrolled) {
    const again = document.getElementById(id);
    if (again) again.scrollTop = top;
  }
  if (!focused) return;
  const again = focused.id ? document.getElementById(focused.id) : path.reduce((at, i) => at && at.children[i], node);
  if (again) again.focus({ preventScroll: true });
}

function pathTo(node, inner) {
  const path = [];
  for (let at = inner; at !== node; at = at.parentNode) path.unshift([...at.parentNode.children].indexOf(at));
  return path;
}

/** The places of a section by name, made at the first call. */
function placesOf(section, ...names) {
  if (!section.children.length) section.append(...names.map((name) => html("div", { class: name })));
  return Object.fromEntries(names.map((name, index) => [name, section.children[index]]));
}

/** Fill a place unless it already shows what the signature says: a slider that is dragged has to stay. */
function fillOnce(place, signature, make) {
  const text = JSON.stringify(signature);
  if (place.dataset.shows === text) return;
  place.dataset.shows = text;
  refill(place, make());
}

/** Move a slider, and say its value. */
function setSlider(id, value, text) {
  const input = document.getElementById(id);
  input.value = value;
  input.setAttribute("aria-valuetext", text);
  input.nextElementSibling.textContent = text;
}

/** Scroll a list, and nothing else, so that its chosen row shows. */
function showChosen(list) {
  const row = list.querySelector("[aria-selected=true]");
  if (!row) return;
  const top = row.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + row.offsetHeight > list.scrollTop + list.clientHeight)
    list.scrollTop = top + row.offsetHeight - list.clientHeight;
}
