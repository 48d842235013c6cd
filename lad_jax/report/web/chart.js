// Line charts.

const MARGIN = { left: 44, right: 10, top: 8, bottom: 32 };

/**
 * A chart of lines over one axis.
 *
 * `series` are {name, x, y, colour, dash}, nulls in y leave a gap; `marks` are vertical lines {x, text, id, row}, the row being the line of their text; `xRange` and
 * `yRange` are of the data where null; `onpick` is called with the x that is clicked or dragged to.
 */
function lineChart({ label, series, width, height, xLabel, xRange = null, yRange = null, marks = [], onpick = null }) {
  const xs = xRange ?? extent(...series.map((each) => each.x));
  const ys = yRange ?? padded(extent(...series.map((each) => each.y)));
  const toX = linear(xs, [MARGIN.left, width - MARGIN.right]);
  const toY = linear(ys, [height - MARGIN.bottom, MARGIN.top]);
  const node = svg(
    "svg",
    { class: `chart${onpick ? " picks" : ""}`, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    axes(xs, ys, toX, toY, width, height, xLabel),
    marks.map((mark) => markLine(mark, toX, height, width)),
    series.map((each) =>
      svg("path", {
        class: "line",
        d: pathOf(each, toX, toY),
        stroke: each.colour,
        "stroke-dasharray": each.dash || null,
        "data-name": each.name,
      }),
    ),
    series.map((each) => lonePoints(each, toX, toY)),
  );
  const fromX = linear([MARGIN.left, width - MARGIN.right], xs);
  followPointer(node, series, (event) => fromX(pointIn(node, event).x), xLabel, xs, onpick);
  return node;
}

function padded([low, high]) {
  const space = (high - low) * 0.05;
  return [low >= 0 ? Math.max(0, low - space) : low - space, high + space];
}

function axes(xs, ys, toX, toY, width, height, xLabel) {
  const bottom = height - MARGIN.bottom;
  return svg(
    "g",
    { class: "axes" },
    ticks(ys, Math.max(2, height / 45)).map((y) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: toY(y), y2: toY(y) }),
      svg("text", { x: MARGIN.left - 5, y: toY(y) + 4, "text-anchor": "end" }, figure(y)),
    ]),
    ticks(xs, Math.max(2, width / 80)).map((x) =>
      svg("text", { x: toX(x), y: bottom + 14, "text-anchor": "middle" }, figure(x)),
    ),
    svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }),
    svg("text", { class: "name", x: width - MARGIN.right, y: height - 4, "text-anchor": "end" }, xLabel),
  );
}

function markLine({ x, text, id = null, row = 0 }, toX, height, width) {
  const right = toX(x) > width * 0.7;
  return svg(
    "g",
    { class: "mark", id },
    svg("line", { x1: toX(x), x2: toX(x), y1: MARGIN.top, y2: height - MARGIN.bottom }),
    svg(
      "text",
      { x: toX(x) + (right ? -4 : 4), y: MARGIN.top + 9 + 13 * row, "text-anchor": right ? "end" : "start" },
      text,
    ),
  );
}

function pathOf({ x, y }, toX, toY) {
  let text = "";
  let pen = "M";
  for (let i = 0; i < x.length; i++) {
    if (y[i] === null) {
      pen = "M";
      continue;
    }
    text += `${pen}${toX(x[i]).toFixed(1)} ${toY(y[i]).toFixed(1)}`;
    pen = "L";
  }
  return text || null;
}

/** Points of short series, which are few evaluations or a single one. */
function lonePoints({ x, y, colour }, toX, toY) {
  if (x.length > 40) return null;
  return x.map((value, i) =>
    y[i] === null ? null : svg("circle", { cx: toX(value), cy: toY(y[i]), r: 2.5, fill: colour }),
  );
}

/** The pointer in the units of an SVG's viewBox. */
function pointIn(node, event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(node.getScreenCTM().inverse());
}

function followPointer(node, series, xOf, xLabel, xs, onpick) {
  const within = (event) => Math.max(xs[0], Math.min(xs[1], xOf(event)));
  node.addEventListener("pointermove", (event) => {
    const x = within(event);
    if (onpick && event.buttons) onpick(x);
    showHover(
      event.clientX,
      event.clientY,
      html("b", {}, `${xLabel} ${figure(x)}`),
      keyOf(series, (each) => figure(valueAt(each, x))),
    );
  });
  node.addEventListener("pointerleave", hideHover);
  if (onpick) node.addEventListener("pointerdown", (event) => onpick(within(event)));
}

function valueAt({ x, y }, wanted) {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (Math.abs(x[i] - wanted) < Math.abs(x[best] - wanted)) best = i;
  return y[best];
}

/** The names of lines with their colour and dash, each with a text. */
function keyOf(series, textOf = () => "") {
  return html(
    "ul",
    { class: "key" },
    series.map((each) => html("li", {}, lineSample(each), ` ${each.name} `, html("b", {}, textOf(each)))),
  );
}

function lineSample({ colour, dash }) {
  return svg(
    "svg",
    { class: "sample", viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": true },
    svg("line", { x1: 1, x2: 29, y1: 5, y2: 5, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash || null }),
  );
}
