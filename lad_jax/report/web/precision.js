// Precision, recall and F1 of a class by the threshold of the score.

/** The curve by rising score, with F1. */
function scoreCurve({ scores, precision, recall }) {
  const order = scores.map((_, index) => index).sort((one, other) => scores[one] - scores[other]);
  const [s, p, r] = [scores, precision, recall].map((values) => order.map((index) => values[index]));
  return {
    scores: s,
    precision: p,
    recall: r,
    f1: p.map((value, index) => (value + r[index] > 0 ? (2 * value * r[index]) / (value + r[index]) : 0)),
  };
}

/** The point of a curve whose detections are those of at least this score; null above all scores. */
function atThreshold(curve, threshold) {
  const index = curve.scores.findIndex((score) => score >= threshold);
  return index < 0 ? null : { precision: curve.precision[index], recall: curve.recall[index], f1: curve.f1[index] };
}

const CHART = { width: 400, height: 220, xRange: [0, 1], yRange: [0, 1.02] };

/** Both charts of a class, and what the threshold gives. */
function drawPrecision(group, threshold) {
  const curve = scoreCurve(group.curve);
  return html(
    "div",
    {},
    html(
      "p",
      { id: "at-threshold" },
      html("b", {}, group.name),
      ` at ${figure(threshold)}: ${precisionText(group, threshold)}`,
    ),
    html("div", { class: "pair" }, drawRecall(group, curve, threshold), drawByScore(group, curve, threshold)),
  );
}

function drawRecall(group, curve, threshold) {
  const series = [{ name: "precision", x: curve.recall, y: curve.precision, ...lineOf(0) }];
  const chart = lineChart({ label: `Precision by recall of ${group.name}`, series, ...CHART, xLabel: "recall" });
  const point = atThreshold(curve, threshold);
  if (point) chart.append(pointMark(point, CHART));
  return html("figure", {}, html("figcaption", {}, "Precision by recall; the ring is at the threshold"), chart);
}

function drawByScore(group, curve, threshold) {
  const series = ["precision", "recall", "F1"].map((name, index) => ({
    name,
    x: curve.scores,
    y: curve[name.toLowerCase()],
    ...lineOf(index),
  }));
  const best = { x: group.best_threshold, text: `best ${figure(group.best_threshold)}`, row: 1 };
  const set = { x: threshold, text: `threshold ${figure(threshold)}`, id: "threshold" };
  const chart = lineChart({
    label: `Precision, recall and F1 of ${group.name} by threshold`,
    series,
    ...CHART,
    marks: group.best_threshold === null ? [set] : [best, set],
    xLabel: "score",
    onpick: (score) => change({ threshold: Math.round(score * 100) / 100 }),
  });
  return html(
    "figure",
    {},
    html("figcaption", {}, "By the threshold, whose line can be dragged"),
    chart,
    keyOf(series),
  );
}

function pointMark({ recall, precision }, { width, height, xRange, yRange }) {
  const x = linear(xRange, [MARGIN.left, width - MARGIN.right])(recall);
  const y = linear(yRange, [height - MARGIN.bottom, MARGIN.top])(precision);
  return svg("circle", { class: "point", cx: x, cy: y, r: 5 });
}

function precisionText(group, threshold) {
  const point = atThreshold(scoreCurve(group.curve), threshold);
  const best =
    group.best_threshold === null
      ? "no threshold is best"
      : `best F1 ${figure(group.f1)} at ${figure(group.best_threshold)}`;
  return point
    ? `precision ${figure(point.precision)}, recall ${figure(point.recall)}, F1 ${figure(point.f1)}; ${best}`
    : `no detection; ${best}`;
}
