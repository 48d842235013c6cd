// The part "Curves": every curve of every run, one chart a name.

function drawCurves(section) {
  const names = [...new Set(RUNS.flatMap((run) => Object.keys(run.curves)))];
  if (!names.length) return refill(section, html("p", { class: "empty" }, "None of these runs has a curve."));
  const places = placesOf(section, "controls", "charts");
  const hidden = new Set(STATE.hidden.split(",").filter(Boolean).map(Number));
  fillOnce(places.controls, STATE.hidden, () => [
    ...RUNS.map((run, index) => runTick(run, index, hidden)),
    slider("smoothing ", { min: 0, max: 0.98, step: 0.02, value: STATE.smooth, text: "", id: "smoothing" }, (smooth) =>
      change({ smooth }),
    ),
  ]);
  setSlider("smoothing", STATE.smooth, STATE.smooth ? figure(STATE.smooth) : "none");
  const width = 400;
  refill(
    places.charts,
    names.map((name) => {
      const series = RUNS.flatMap((run, index) =>
        run.curves[name] && !hidden.has(index) ? seriesOf(run, index, name) : [],
      );
      return html(
        "figure",
        { "data-curve": name },
        html("figcaption", {}, readable(name)),
        lineChart({ label: readable(name), series, width, height: 190, xLabel: "step" }),
      );
    }),
  );
}

function runTick(run, index, hidden) {
  const onchange = (on) => {
    if (on) hidden.delete(index);
    else hidden.add(index);
    change({ hidden: [...hidden].join(",") });
  };
  const label = tick(run.name, !hidden.has(index), onchange);
  label.insertBefore(lineSample(lineOf(index)), label.lastChild);
  return label;
}

function seriesOf(run, index, name) {
  const { steps, values } = run.curves[name];
  return [{ name: run.name, x: steps, y: smoothed(values, STATE.smooth), ...lineOf(index) }];
}

/** Moving averages whose weights fall by a factor at each value; debiased, so that the first values count as much. */
function smoothed(values, factor) {
  if (!factor) return values;
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    sum = factor * sum + (1 - factor) * value;
    weight = factor * weight + (1 - factor);
    return sum / weight;
  });
}

function readable(name) {
  return name.replaceAll("_", " ").replace("/", ": ");
}
