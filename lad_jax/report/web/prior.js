// A prior under the pointer, or under the cursor of the arrow keys: what it is, and whose costs say what.

/** Say what is under the pointer or the cursor of a panel, and choose objects there. */
function followPrior(node, scene, onobject) {
  const { picture, level, scale } = scene;
  const pointed = (event) => {
    const { x, y } = pointIn(node.firstChild, event);
    return [x / scale, y / scale];
  };
  node.addEventListener("pointermove", (event) => {
    const prior = priorAt(picture, level, ...pointed(event));
    markPrior(node, scene, prior);
    showHover(event.clientX, event.clientY, ...describePrior(scene, prior));
  });
  node.addEventListener("pointerleave", () => leavePrior(node));
  node.addEventListener("blur", () => leavePrior(node));
  node.addEventListener("click", (event) => onobject(objectAt(scene, ...pointed(event))));
  node.addEventListener("keydown", (event) => moveCursor(event, node, scene, onobject));
}

function leavePrior(node) {
  node.querySelector(".cursor").replaceChildren();
  hideHover();
}

function moveCursor(event, node, scene, onobject) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key === "Escape") return leavePrior(node);
  if (event.key === "Enter" && node.dataset.prior) return onobject(objectOfPrior(scene, Number(node.dataset.prior)));
  if (!(event.key in moves)) return;
  event.preventDefault();
  const { picture, level } = scene;
  const { x, y, stride } = node.dataset.prior ? placeOf(picture, Number(node.dataset.prior)) : startOf(scene);
  const [right, down] = moves[event.key];
  const prior = priorAt(picture, level, x + right * stride, y + down * stride);
  markPrior(node, scene, prior);
  const cell = node.querySelector(".cell").getBoundingClientRect();
  showHover(cell.x + cell.width / 2, cell.y + cell.height / 2, ...describePrior(scene, prior));
}

/** Where the cursor starts: at a positive or else a candidate of the chosen object, if there is one, or of any. */
function startOf({ picture, level, a, dots, object }) {
  const chosen = object < 0 ? [] : a.rowsOf[object].map((row) => a.recorded.entries.prior[row]);
  const priors = [
    ...dots.filter((dot) => dot.object === object).map((dot) => dot.prior),
    ...chosen,
    ...dots.map((dot) => dot.prior),
    ...a.atPrior.keys(),
  ];
  const first = priors.find((prior) => placeOf(picture, prior).level === level);
  return placeOf(picture, first ?? priorAt(picture, level, 0, 0));
}

/** Draw the prior's cell, and its box dashed. */
function markPrior(node, { picture, scale }, prior) {
  const { x, y, stride } = placeOf(picture, prior);
  const square = (side) => ({
    x: (x - side / 2) * scale,
    y: (y - side / 2) * scale,
    width: side * scale,
    height: side * scale,
  });
  node.dataset.prior = prior;
  node
    .querySelector(".cursor")
    .replaceChildren(
      svg("rect", { class: "cell", ...square(stride) }),
      svg("rect", { class: "anchor", ...square(stride * picture.anchor_scale) }),
    );
}

/** The object of a dot at a point, else the smallest box around the point, else none. */
function objectAt(scene, x, y) {
  const { picture, level } = scene;
  const { stride } = picture.levels[level];
  const place = placeOf(picture, priorAt(picture, level, x, y));
  const near = Math.hypot(place.x - x, place.y - y) < stride * 0.4;
  const dot = scene.dots.find((each) => near && each.prior === place.prior);
  if (dot) return dot.object;
  const around = picture.objects
    .map(({ box }, object) => ({ box, object }))
    .filter(({ box }) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3])
    .sort((one, other) => areaOf(one.box) - areaOf(other.box));
  return around.length ? around[0].object : -1;
}

function objectOfPrior(scene, prior) {
  const { x, y } = placeOf(scene.picture, prior);
  return objectAt(scene, x, y);
}

function areaOf([x1, y1, x2, y2]) {
  return (x2 - x1) * (y2 - y1);
}

/** Lines on a prior: place, whose positive it is, and its entries. */
function describePrior({ picture, a, b }, prior) {
  const { stride, row, column } = placeOf(picture, prior);
  const fate = (seen) => {
    const positive = seen.positives.get(prior);
    return html(
      "p",
      {},
      `${seen.view.name}: `,
      html("b", {}, positive ? `responsible for ${nameOf(picture, positive.object)}` : "responsible for nothing"),
      positive && positive.target < 1 ? `, target ${figure(positive.target)}` : "",
    );
  };
  return [
    html("p", {}, `prior ${prior}: stride ${stride}, row ${row}, column ${column}`),
    fate(a),
    b && fate(b),
    entriesTable(picture, a, prior),
    b && b.recorded !== a.recorded && entriesTable(picture, b, prior),
  ].filter(Boolean);
}

/** The entries of a prior by one view's run: IoU, cost by each network, whose cost counts. */
function entriesTable(picture, seen, prior) {
  const rows = seen.atPrior.get(prior) ?? [];
  const { recorded, view } = seen;
  const { name } = view.run;
  if (!rows.length) return html("p", { class: "faint" }, `${name}: no candidate`);
  const networks = Object.keys(recorded.costs);
  const besides = Object.keys(recorded.besides);
  const heads = [
    "object",
    "IoU",
    ...networks.map((network) => `cost by ${network}`),
    ...(recorded.source ? ["cost from"] : []),
    ...besides,
  ];
  const body = rows.slice(0, 5).map((row) =>
    html(
      "tr",
      { class: isPositive(seen, row) ? "positive" : null },
      [
        nameOf(picture, recorded.entries.object[row]),
        figure(recorded.entries.iou[row]),
        ...networks.map((network) => figure(recorded.costs[network][row])),
        ...(recorded.source ? [sourceOf(view.run, recorded, row)] : []),
        ...besides.map((each) => figure(recorded.besides[each][row])),
      ].map((text) => html("td", {}, text)),
    ),
  );
  return html(
    "table",
    {},
    html("caption", {}, name),
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        heads.map((text) => html("th", { scope: "col" }, text)),
      ),
    ),
    html("tbody", {}, body),
  );
}
