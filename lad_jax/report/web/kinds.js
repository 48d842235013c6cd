// TIDE's six kinds of error: the AP that a detector would gain, were it free of one.

const KINDS = {
  classification: "right place, wrong class",
  localisation: "right class, box too far off",
  both: "wrong class and box too far off",
  duplicate: "a second box of an object",
  background: "nothing is there",
  missed: "an object without any box",
};

function drawKinds(runs) {
  const most = Math.max(...runs.flatMap(({ run }) => Object.values(run.errors.tide)), 0.001);
  return html(
    "table",
    { class: "kinds" },
    html(
      "tbody",
      {},
      Object.entries(KINDS).map(([kind, words]) =>
        html(
          "tr",
          {},
          html("th", { scope: "row" }, kind, html("small", {}, words)),
          html(
            "td",
            {},
            runs.map(({ run, index }) => kindBar(run, index, kind, most)),
          ),
        ),
      ),
    ),
  );
}

function kindBar(run, index, kind, most) {
  const gain = run.errors.tide[kind] ?? null;
  const width = `${(100 * Math.max(0, gain ?? 0)) / most}%`;
  return html(
    "div",
    { class: "track", title: run.name },
    html("span", { class: "fill", style: `width:${width};background:${lineOf(index).colour}` }),
    html("span", {}, gain === null ? "–" : figure(100 * gain)),
  );
}
