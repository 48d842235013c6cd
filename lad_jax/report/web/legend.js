// What the marks in the panels mean, for those who see them for the first time.

function glyph(...shapes) {
  return svg("svg", { class: "glyph", viewBox: "-9 -9 18 18", width: 18, height: 18, "aria-hidden": true }, ...shapes);
}

/** What the marks mean, with only those that may be in the panels now. */
function legend({ a, b, heat, heatRange, contested }) {
  const dot = (kind) => glyph(svg("g", { class: `dot ${kind}` }, dotShape(kind, 0, 0, 5.5, COLOURS[1])));
  const items = b
    ? [
        [dot("shared"), "positive in A and B"],
        [dot("here"), "only in A"],
        [dot("there"), "only in B"],
      ]
    : [[dot("shared"), "positive: this prior learns the object of its colour"]];
  if (!a.view.network && a.recorded.source) {
    const pierced = [dotShape("shared", 0, 0, 5.5, COLOURS[1]), svg("circle", { class: "pip", r: 2 })];
    const others = a.view.run.costs_from.slice(1).join(" or ");
    items.push([glyph(svg("g", { class: "dot shared" }, pierced)), `cost from ${others}`]);
  }
  if (contested) {
    const crosses = ["halo", null].map((part) => svg("path", { class: part, d: "M-4 -4L4 4M4 -4L-4 4" }));
    items.push([glyph(svg("g", { class: "contested" }, crosses)), "contested"]);
  }
  const ramp =
    heat &&
    html(
      "li",
      {},
      `cost ${figure(heatRange[0])} `,
      html("span", { class: "ramp", style: `background:linear-gradient(90deg,${HEAT.join(",")})` }),
      ` ${figure(heatRange[1])} or more`,
    );
  return html(
    "ul",
    { class: "legend" },
    items.map(([mark, text]) => html("li", {}, mark, ` ${text}`)),
    ramp,
  );
}

/** Words on the whole, while no object is chosen. */
function introduction({ heat }) {
  const term = (text) => html("b", {}, text);
  return html(
    "div",
    { class: "introduction" },
    html(
      "p",
      {},
      "A detector predicts from thousands of ",
      term("priors"),
      ": fixed squares on grids of several strides. In training, each object needs priors that are responsible for it: its ",
      term("positives"),
      ", drawn as dots in its colour. All other priors learn that nothing is there.",
    ),
    heat &&
      html(
        "p",
        {},
        "The ",
        term("cost"),
        " says how badly a network's prediction at a prior fits the object. Bright squares are cheap, so good choices; no square: not a candidate.",
      ),
    html(
      "p",
      {},
      "Choose an object, here or in the picture, to see how its positives were chosen. ✕ marks objects that nothing is responsible for.",
    ),
  );
}
