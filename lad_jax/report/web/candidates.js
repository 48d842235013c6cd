// The candidates of an object as a table, cheapest first.

function drawCandidates(picture, seen, object) {
  const rows = byCost(seen, seen.rowsOf[object]);
  if (!rows.length) return null;
  const { recorded } = seen;
  const columns = [
    ["", (row) => (isPositive(seen, row) ? "●" : fateOf(seen, row))],
    ["stride", (row) => String(placeOf(picture, recorded.entries.prior[row]).stride)],
    ["IoU", (row) => figure(recorded.entries.iou[row])],
    ...Object.entries(recorded.costs).map(([network, costs]) => [`cost by ${network}`, (row) => figure(costs[row])]),
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
        `${ofAll(rows.length, seen.objects[object].n_candidates)} in ${seen.view.run.name}, cheapest first; ` +
          `● positive, → 3 positive for object 3${meaningsOf(recorded)}`,
      ),
      head,
      html("tbody", {}, rows.map(line)),
    ),
  );
}

function ofAll(shown, number) {
  return shown < number ? `The ${shown} cheapest of its ${number} candidates` : "Its candidates";
}

const MEANINGS = {
  metric: "metric: class probability and IoU in one, by which an object takes its priors, the largest first",
  inside: "inside: 1 where the prior's point lies in the object; others stay negative",
  plan: "plan: what optimal transport sends from the object to the prior",
};

/** What the assigner's reasons are, in words. */
function meaningsOf(recorded) {
  return Object.keys(recorded.besides)
    .filter((name) => name in MEANINGS)
    .map((name) => `; ${MEANINGS[name]}`)
    .join("");
}

/** Rows of entries, cheapest first; of equal costs in the recorded order, which knows more digits. */
function byCost(seen, rows) {
  return [...rows].sort((one, other) => (seen.costs[one] ?? Infinity) - (seen.costs[other] ?? Infinity));
}

/** The object that a candidate is responsible for instead. */
function fateOf(seen, row) {
  const other = seen.positives.get(seen.recorded.entries.prior[row]);
  return other ? `→ ${other.object}` : "";
}
