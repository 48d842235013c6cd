// Costs of an object's candidates: a histogram each of A and B over one axis, the mixture's Gaussians, the threshold.

const BINS = 30;
const HISTOGRAM = { width: 360, height: 116, left: 8, right: 8, top: 14, bottom: 18 };

/** Histograms of what is seen of an object, one below the other; null where nothing has a cost. */
function drawHistograms(seen, object) {
  const range = extent(...seen.map((each) => costsOf(each, object)));
  return seen.map((each, index) =>
    costsOf(each, object).length
      ? html(
          "figure",
          { class: "histogram", "data-view": each.view.key },
          drawHistogram(each, object, range),
          html("figcaption", {}, captionOfHistogram(each, object, index === 0 ? "A" : "B")),
        )
      : html("p", { class: "faint" }, `${each.view.name}: no candidate has a cost`),
  );
}

function costsOf(seen, object) {
  return seen.rowsOf[object].map((row) => seen.costs[row]).filter((cost) => cost !== null);
}

function drawHistogram(seen, object, range) {
  const { width, height, left, right, top, bottom } = HISTOGRAM;
  const toX = linear(range, [left, width - right]);
  const bins = binsOf(seen, object, range);
  const most = Math.max(...bins.map((bin) => bin.all));
  const toY = linear([0, most], [height - bottom, top]);
  const wide = (width - left - right) / BINS;
  const bar = (from, to, index, attributes) =>
    to > from &&
    svg("rect", {
      x: left + index * wide + 0.5,
      width: wide - 1,
      y: toY(to),
      height: toY(from) - toY(to),
      ...attributes,
    });
  return svg(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `Costs of the candidates of object ${object} by ${seen.view.name}`,
    },
    bins
      .flatMap((bin, index) => [
        bar(0, bin.positive, index, { class: "bar positive", fill: colourOf(object), "data-count": bin.positive }),
        bar(bin.positive, bin.all, index, { class: "bar negative", "data-count": bin.all - bin.positive }),
      ])
      .filter(Boolean),
    gaussians(seen.objects[object].explanation, range, toX, linear([0, 1], [height - bottom, top])),
    thresholdLine(seen.objects[object].threshold, toX, height, width),
    svg(
      "g",
      { class: "axes" },
      svg("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
      ticks(range, 6).map((cost) =>
        svg("text", { x: toX(cost), y: height - 5, "text-anchor": "middle" }, figure(cost)),
      ),
    ),
  );
}

function binsOf(seen, object, [low, high]) {
  const bins = Array.from({ length: BINS }, () => ({ all: 0, positive: 0 }));
  for (const row of seen.rowsOf[object]) {
    if (seen.costs[row] === null) continue;
    const bin = bins[Math.min(BINS - 1, Math.floor(((seen.costs[row] - low) / (high - low)) * BINS))];
    bin.all += 1;
    if (isPositive(seen, row)) bin.positive += 1;
  }
  return bins;
}

/** Densities of a mixture's components, in proportion to each other; the cheaper one is drawn through. */
function gaussians({ means, variances, weights }, range, toX, toY) {
  if (!means || [...means, ...variances, ...weights].includes(null)) return null;
  const xs = Array.from({ length: 121 }, (_, i) => range[0] + ((range[1] - range[0]) * i) / 120);
  const densities = means.map((mean, k) =>
    xs.map((x) => (weights[k] / Math.sqrt(variances[k])) * Math.exp(-((x - mean) ** 2) / (2 * variances[k]))),
  );
  const highest = Math.max(...densities.flat());
  const cheap = means.indexOf(Math.min(...means));
  return densities.map((density, k) =>
    svg("path", {
      class: `gaussian ${k === cheap ? "cheap" : "costly"}`,
      d: density
        .map((value, i) => `${i ? "L" : "M"}${toX(xs[i]).toFixed(1)} ${toY((0.95 * value) / highest).toFixed(1)}`)
        .join(""),
    }),
  );
}

function thresholdLine(threshold, toX, height, width) {
  if (threshold === null) return null;
  const x = toX(threshold);
  const left = x > width * 0.6;
  return svg(
    "g",
    { class: "threshold", "data-cost": threshold },
    svg("line", { x1: x, x2: x, y1: 2, y2: height - HISTOGRAM.bottom }),
    svg(
      "text",
      { x: x + (left ? -4 : 4), y: 10, "text-anchor": left ? "end" : "start" },
      `costliest positive ${figure(threshold)}`,
    ),
  );
}

function captionOfHistogram(seen, object, letter) {
  const { n_positive: positive, n_candidates: candidates, explanation } = seen.objects[object];
  const words = Object.entries(explanation)
    .filter(([name]) => !["means", "variances", "weights"].includes(name))
    .map(([name, value]) => `${name} ${[value].flat().map(figure).join(", ")}`);
  if (explanation.means) words.unshift(`means ${explanation.means.map(figure).join(" and ")}`);
  if ("mean" in explanation && "std" in explanation)
    words.push(`mean + std ${figure(explanation.mean + explanation.std)}`);
  return [
    html("b", {}, `${letter}: ${seen.view.name}`),
    `: ${positive} of ${candidates} positive`,
    words.length ? html("span", { class: "faint" }, `; ${words.join(", ")}`) : "",
  ];
}
