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

function drawPrecision(group, threshold) {
  const curve = scoreCurve(group.curve);
  const point = atThreshold(curve, threshold);
  const shape = { width: 400, height: 220 };
  const [first, second, third] = [0, 1, 2].map(lineOf);
  const byScore = [
    ["precision", first],
    ["recall", second],
    ["F1", third],
  ].map(([name, line]) => ({ name, x: curve.scores, y: curve[name.toLowerCase()], ...line }));
  const marks = [
    { x: threshold, text: `threshold ${figure(threshold)}`, id: "threshold" },
    { x: group.best_threshold, text: "" },
  ];
  const ends = { xRange: [0, 1], yRange: [0, 1.02] };
  const pr = lineChart({
    label: `Precision by recall of ${group.name}`,
    series: [{ name: "precision", x: curve.recall, y: curve.precision, ...first }],
    ...shape,
    ...ends,
    xLabel: "recall",
  });
  if (point) pr.append(pointMark(point, shape));
  return html(
    "div",
    { class: "pair" },
    html("figure", {}, html("figcaption", {}, `Precision against recall: ${group.name}`), pr),
    html(
      "figure",
      {},
      html("figcaption", {}, "By the threshold; drag the line"),
      lineChart({
        label: `Precision, recall and F1 of ${group.name} by threshold`,
        series: byScore,
        ...shape,
        ...ends,
        marks,
        xLabel: "score",
        onpick: (x) => change({ threshold: Math.round(x * 100) / 100 }),
      }),
      keyOf(byScore),
    ),
  );
}

function pointMark({ recall, precision }, { width, height }) {
  const x = linear([0, 1], [MARGIN.left, width - MARGIN.right])(recall);
  const y = linear([0, 1.02], [height - MARGIN.bottom, MARGIN.top])(precision);
  return svg("circle", { class: "point", cx: x, cy: y, r: 5 });
}

function precisionText(group, threshold) {
  const point = atThreshold(scoreCurve(group.curve), threshold);
  const best = `best F1 ${figure(group.f1)} at ${figure(group.best_threshold)}`;
  return point
    ? `precision ${figure(point.precision)}, recall ${figure(point.recall)}, F1 ${figure(point.f1)}; ${best}`
    : `no detection; ${best}`;
}
