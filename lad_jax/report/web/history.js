// A picture over the evaluations: how many positives, and whose costs count.

/** Positives of the picture, or of the chosen object, over the evaluations; and the share of costs from each network. */
function drawHistory({ a, b, at, index, object }) {
  const evaluations = a.view.run.evaluations;
  if (evaluations.length < 2) return null;
  const numberOf = (seen) => (object < 0 ? seen.positives.size : seen.objects[object].n_positive);
  const series = [a, b].filter(Boolean).map((seen, i) => ({
    name: seen.view.name,
    x: seen.view.run.evaluations.map((each) => each.step),
    y: seen.view.run.evaluations.map((_, e) => numberOf(see(seen.view, e, index))),
    ...lineOf(i),
  }));
  const marks = [{ x: evaluations[at].step, text: "" }];
  const onpick = (step) => {
    const next = nearestEvaluation(a.view.run, step);
    if (next !== at) change({ at: next });
  };
  const shape = { width: 360, height: 120, xLabel: "step", marks, onpick };
  return html(
    "div",
    { class: "history" },
    html("h2", {}, object < 0 ? "Positives of the picture over the training" : "Its positives over the training"),
    lineChart({
      label: "Positives by evaluation",
      series,
      ...shape,
      yRange: [0, extent([1], ...series.map((each) => each.y))[1] * 1.05],
    }),
    keyOf(series),
    drawShares(a.view, index, object, shape),
  );
}

/** The share of the candidates whose cost is from each network, of a view whose costs are of several. */
function drawShares(view, picture, object, shape) {
  const { run } = view;
  if (run.costs_from.length < 2 || view.network) return null;
  const shareOf = (network, evaluation) => {
    const { recorded, rowsOf } = see(view, evaluation, picture);
    const rows = object < 0 ? rowsOf.flat() : rowsOf[object];
    return rows.length ? rows.filter((row) => sourceOf(run, recorded, row) === network).length / rows.length : null;
  };
  const steps = run.evaluations.map((each) => each.step);
  const series = run.costs_from.map((network, i) => ({
    name: network,
    x: steps,
    y: steps.map((_, e) => shareOf(network, e)),
    ...lineOf(i + 2),
  }));
  return [
    html("h2", {}, `Whose costs count in ${run.name}`),
    lineChart({
      label: "Share of the candidates whose cost is from each network",
      series,
      ...shape,
      yRange: [0, 1.02],
    }),
    keyOf(series),
  ];
}
