// The list of a picture's objects, and a sentence on the one that is chosen.

function drawObjects(picture, a, b, chosen, onobject) {
  const rows = picture.objects.map((object, index) => ({
    key: index,
    content: [
      html(
        "span",
        { class: "swatch", style: `background:${colourOf(index)};color:${inkOn(colourOf(index))}` },
        String(index),
      ),
      html("span", { class: "name" }, REPORT.class_names[object.label]),
      html("span", { class: "share" }, shareText(object, a.objects[index], b?.objects[index])),
    ],
  }));
  const all = {
    key: -1,
    content: [
      html("span", { class: "swatch all" }, "·"),
      html("span", { class: "name" }, "all objects"),
      html("span", { class: "share" }, shareOfAll(a, b)),
    ],
  };
  return listbox("objects", "Objects of the picture", [all, ...rows], chosen, onobject, { "data-scroll": true });
}

function shareText(object, a, b) {
  if (object.crowd) return "crowd";
  const text = b ? `${a.n_positive} | ${b.n_positive}` : String(a.n_positive);
  return a.n_positive === 0 ? html("b", { class: "alarm" }, `✕ ${text}`) : text;
}

function shareOfAll(a, b) {
  return b ? `${a.positives.size} | ${b.positives.size}` : String(a.positives.size);
}

/** Why an object has the positives that it has, in words that the recorded entries bear out. */
function reasonOf(picture, seen, object) {
  const { crowd } = picture.objects[object];
  const { n_positive: positive, n_candidates: candidates } = seen.objects[object];
  if (crowd) return "A crowd region: nothing is responsible for it, by design.";
  if (candidates === 0)
    return "No prior is its candidate: none overlaps it enough, or those that do overlap another object more.";
  const others = fatesOf(seen, seen.rowsOf[object]).filter((other) => other !== null && other !== object);
  const lost = others.length
    ? ` Some of its candidates are responsible for object ${[...new Set(others)].join(", ")}.`
    : "";
  if (positive > 0)
    return `${positive} of its ${count(candidates, "candidate")} ${positive === 1 ? "is" : "are"} positive.${lost}`;
  if (candidates === 1) return `It has a single candidate, which stayed negative.${lost}`;
  return `None of its ${candidates} candidates is positive.${fateOfCheapest(seen, seen.rowsOf[object])}`;
}

/** The objects that entries' priors are responsible for, null for none. */
function fatesOf(seen, rows) {
  return rows.map((row) => seen.positives.get(seen.recorded.entries.prior[row])?.object ?? null);
}

/** What became of an object's cheapest candidates, none of which is its own positive. */
function fateOfCheapest(seen, rows) {
  const cheapest = byCost(seen, rows).slice(0, 5);
  if (!cheapest.length) return "";
  const { inside } = seen.recorded.besides;
  const words = fatesOf(seen, cheapest).map((object, i) => {
    if (object !== null) return `responsible for object ${object}`;
    return inside?.[cheapest[i]] === 0 ? "outside the object" : "negative";
  });
  const shares = [...new Set(words)].map((word) => {
    const n = words.filter((each) => each === word).length;
    return `${n} ${n === 1 ? "is" : "are"} ${word}`;
  });
  return ` Of its ${cheapest.length} cheapest ${shares.join(", ")}.`;
}
