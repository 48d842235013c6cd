// The confusion matrix: what is there, against what was detected.

const MOST_COUNTED = 24;

function drawConfusion({ names, counts }) {
  const written = names.length <= MOST_COUNTED;
  const head = html(
    "tr",
    {},
    html("th", {}, "is ↓ detected →"),
    names.map((name) => html("th", { scope: "col", title: name }, html("span", {}, name))),
  );
  const rows = counts.map((row, truth) => {
    const total = Math.max(
      1,
      row.reduce((sum, each) => sum + each, 0),
    );
    return html(
      "tr",
      {},
      html("th", { scope: "row", title: names[truth] }, names[truth]),
      row.map((number, detected) =>
        confusionCell(
          number,
          number / total,
          truth === detected,
          written,
          `${names[truth]} as ${names[detected]}: ${number}`,
        ),
      ),
    );
  });
  return html(
    "table",
    { class: `confusion${written ? "" : " small"}` },
    html("thead", {}, head),
    html("tbody", {}, rows),
  );
}

/** A cell: blue where truth and detection agree, orange where not, deeper for a larger share of the row. */
function confusionCell(number, share, right, written, title) {
  const depth = Math.round(100 * Math.min(1, share) ** 0.7);
  const colour = `color-mix(in srgb, ${right ? "#0072b2" : "#e69f00"} ${depth}%, white)`;
  return html(
    "td",
    { title, style: `background:${colour};color:${right && depth > 55 ? "#fff" : "#000"}` },
    written && number ? String(number) : "",
  );
}
