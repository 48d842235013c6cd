// The candidates of an object as a table, cheapest first.

function drawCandidates(picture, seen, object) {
  const rows = byCost(seen, seen.rowsOf[object]);
  if (!rows.length) return null;
  const { recorded } = seen;
  const columns = [
    ["", (row) => (isPositive(seen, row) ? "●" : fateOf(seen, row))],
    ["stride", (row) => String(placeOf(picture, recorded.entries.prior[row]).stride)],
    ["IoU", (row) => figure(recorded.entries.iou[row])],
    ...Object.keys(recorded.costs).map((network) => [network, (row) => figure(recorded.costs[network][row])]),
    ...(recorded.source ? [["cost from", (row) => sourceOf(seen.view.run, recorded, row)]] : []),
    ...Object.keys(recorded.besides).map((name) => [name, (row) => figure(recorded.besides[name][row])]),
  ];
  const line = (row) =>
    html(
      "tr",
      { class: isPositive(seen, row) ? "positive" : null },
      columns.map(([, text]) => html("td", {}, text(row))),
    );
  const head = html(
    "thead",
    {},
    html(
      "tr",
      {},
      columns.map(([name]) => html("th", { scope: "col" }, name)),
    ),
  );
  return html(
    "div",
    { class: "candidates", id: "candidates", "data-scroll": true, tabindex: 0, "aria-label": "Candidates" },
    html(
      "table",
      {},
      html(
        "caption",
        {},
        `Its candidates in ${seen.view.run.name}, cheapest first; ● positive, → 3 positive for object 3`,
      ),
      head,
      html("tbody", {}, rows.map(line)),
    ),
  );
}

/** Rows of entries, cheapest first. */
function byCost(seen, rows) {
  return [...rows].sort((one, other) => (seen.costs[one] ?? Infinity) - (seen.costs[other] ?? Infinity));
}

/** The object that a candidate is responsible for instead. */
function fateOf(seen, row) {
  const other = seen.positives.get(seen.recorded.entries.prior[row]);
  return other ? `→ ${other.object}` : "";
}
