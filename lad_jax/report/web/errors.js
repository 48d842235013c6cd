// The part "What it gets wrong".

function drawErrors(section) {
  const runs = RUNS.map((run, index) => ({ run, index })).filter(({ run }) => run.errors);
  if (!runs.length)
    return refill(
      section,
      html("p", { class: "empty" }, "None of these runs has an evaluation whose errors are recorded."),
    );
  const { run } = runs.find(({ index }) => index === STATE.run) ?? runs[0];
  const { classes, threshold, confusion, worst } = run.errors;
  const chosen = Math.min(STATE.class, classes.length - 1);
  const at = STATE.threshold < 0 ? threshold.best : STATE.threshold;
  const places = placesOf(section, "controls", "tiles");
  drawErrorControls(places.controls, runs, run, at);
  const wide = [
    tile(
      "precision",
      "Precision and recall",
      `By class, at IoU 0.5; beside each name AP50 and recall. The best threshold over all classes is ${figure(threshold.best)}, with an F1 of ${figure(threshold.f1)}.`,
      html(
        "div",
        { class: "by-class" },
        drawClasses(classes, chosen),
        classes.length
          ? html(
              "div",
              {},
              html(
                "p",
                { id: "at-threshold" },
                html("b", {}, classes[chosen].name),
                ` at ${figure(at)}: ${precisionText(classes[chosen], at)}`,
              ),
              drawPrecision(classes[chosen], at),
            )
          : null,
      ),
    ),
    tile(
      "mistakes",
      "Pictures with most mistakes",
      "On all validation pictures. The boxes follow the threshold.",
      drawWorst(run, Math.min(STATE.worst, worst.length - 1), at),
    ),
  ];
  const narrow = [
    tile(
      "numbers",
      "AP by IoU and size",
      "COCO's numbers in percent: averages over classes; 50 and 75 are at these IoUs only.",
      drawScores(runs),
    ),
    tile(
      "tide",
      "Kinds of error",
      "AP50, in points of 100, that would be gained without errors of a kind (TIDE).",
      drawKinds(runs),
      keyOf(runs.map(({ run: { name }, index }) => ({ name, ...lineOf(index), dash: "" }))),
    ),
  ];
  refill(
    places.tiles,
    html("div", { class: "column" }, wide),
    html("div", { class: "column narrow" }, narrow),
    tile(
      "matrix",
      "Confusion",
      `Rows: what is there; columns: what was detected, at scores from ${figure(threshold.best)} and IoU from 0.5. The last column are misses, the last row detections of nothing.`,
      drawConfusion(confusion),
    ),
  );
  for (const id of ["classes", "worst"]) showChosen(document.getElementById(id));
}

function drawErrorControls(place, runs, run, at) {
  const { best } = run.errors.threshold;
  fillOnce(place, [run.name, STATE.run], () => [
    choice(
      "run ",
      runs.map((each) => [String(each.index), each.run.name]),
      String(RUNS.indexOf(run)),
      (index) => change({ run: Number(index), threshold: -1 }),
    ),
    slider("threshold of the score ", { min: 0, max: 1, step: 0.01, value: at, text: "", id: "score" }, (threshold) =>
      change({ threshold }),
    ),
    html("button", { onclick: () => change({ threshold: -1 }) }, "best threshold"),
  ]);
  setSlider("score", at, `${figure(at)}${at === best ? " (best)" : ""}`);
}

function tile(name, title, words, ...content) {
  return html(
    "article",
    { class: `tile ${name}` },
    html("h2", {}, title),
    html("p", { class: "faint" }, words),
    content,
  );
}
