// COCO's numbers of all runs, and each class's of the chosen run.

function drawScores(runs) {
  const names = [...new Set(runs.flatMap(({ run }) => Object.keys(run.errors.overall)))];
  return html(
    "table",
    { class: "scores" },
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        html("th", {}, ""),
        runs.map(({ run }) => html("th", { scope: "col" }, run.name)),
      ),
    ),
    html(
      "tbody",
      {},
      names.map((name) =>
        scoreRow(
          name,
          runs.map(({ run }) => run.errors.overall[name]),
        ),
      ),
    ),
  );
}

/** A line of the table, the best number bold. */
function scoreRow(name, values) {
  const best = Math.max(...values.map((value) => value ?? -Infinity));
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, name.replace("_", " ")),
    values.map((value) =>
      html("td", {}, values.length > 1 && value === best ? html("b", {}, hundredths(value)) : hundredths(value)),
    ),
  );
}

/** COCO's numbers in percent; a dash for none, which pycocotools writes as -1. */
function hundredths(value) {
  return value === null || value === undefined || value < 0 ? "–" : (100 * value).toFixed(1);
}

function drawClasses(classes, chosen) {
  const rows = classes.map((group, key) => ({
    key,
    content: [
      html("span", { class: "name" }, group.name),
      html(
        "span",
        { class: "share", title: "AP at IoU 0.5; recall" },
        `${hundredths(group.AP50)} · ${hundredths(group.recall)}`,
      ),
    ],
  }));
  return listbox("classes", "Classes", rows, chosen, (key) => change({ class: key }), { "data-scroll": true });
}
