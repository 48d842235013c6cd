// The part "What it gets wrong".

const USUAL_THRESHOLD = 0.5; // where a detector has no best one, as it finds nothing

function drawErrors(section) {
  const runs = RUNS.map((run, index) => ({ run, index })).filter(({ run }) => run.errors);
  if (!runs.length) return refill(section, html("p", { class: "empty" }, "The errors of these runs are not recorded."));
  const { run } = runs.find(({ index }) => index === STATE.run) ?? runs[0];
  const threshold = STATE.threshold < 0 ? (run.errors.threshold.best ?? USUAL_THRESHOLD) : STATE.threshold;
  const places = placesOf(section, "controls", "tiles");
  drawErrorControls(places.controls, runs, run, threshold);
  refill(
    places.tiles,
    html("div", { class: "column" }, precisionTile(run.errors, threshold), worstTile(run, threshold)),
    html("div", { class: "column narrow" }, scoresTile(runs), kindsTile(runs)),
    confusionTile(run.errors),
  );
  for (const id of ["classes", "worst"]) showChosen(document.getElementById(id));
}

function drawErrorControls(place, runs, run, threshold) {
  const { best } = run.errors.threshold;
  const names = runs.map((each) => [String(each.index), each.run.name]);
  const chosen = String(RUNS.indexOf(run));
  fillOnce(place, chosen, () => [
    choice("run ", names, chosen, (index) => change({ run: Number(index), threshold: -1 })),
    slider(
      "threshold of the score ",
      { min: 0, max: 1, step: 0.01, value: threshold, text: "", id: "score" },
      (value) => change({ threshold: value }),
    ),
    html("button", { onclick: () => change({ threshold: -1 }) }, "best threshold"),
  ]);
  setSlider("score", threshold, `${figure(threshold)}${threshold === best ? " (best)" : ""}`);
}

function precisionTile({ classes, threshold: { best, f1 } }, threshold) {
  const chosen = Math.max(0, Math.min(Math.trunc(STATE.class), classes.length - 1));
  const words =
    best === null
      ? "No detection is right, so no threshold is best."
      : `Over all classes F1 is highest, ${figure(f1)}, at a threshold of ${figure(best)}.`;
  return tile(
    "precision",
    "Precision and recall",
    `By class, at an IoU of 0.5. Beside each name: AP50 and the recall at the best threshold. ${words}`,
    html("div", { class: "by-class" }, drawClasses(classes, chosen), drawPrecision(classes[chosen], threshold)),
  );
}

function worstTile(run, threshold) {
  const withBoxes = run.errors.worst.findIndex((row) => row.picture !== null);
  const asked = STATE.worst < 0 ? withBoxes : Math.trunc(STATE.worst);
  const chosen = Math.max(0, Math.min(asked, run.errors.worst.length - 1));
  return tile(
    "mistakes",
    "Pictures with most mistakes",
    "Of all validation pictures, at the best threshold. The boxes are those at the threshold that is set above.",
    drawWorst(run, chosen, threshold),
  );
}

function scoresTile(runs) {
  const words =
    "COCO's numbers in percent, averages over classes. 50 and 75: at this IoU; else over IoUs of 0.5 to 0.95.";
  return tile("numbers", "AP by IoU and size", words, drawScores(runs));
}

function kindsTile(runs) {
  const words = "Points of AP50 that would be gained without the errors of a kind (TIDE).";
  const lines = runs.map(({ run, index }) => ({ name: run.name, colour: lineOf(index).colour }));
  return tile("tide", "Kinds of error", words, drawKinds(runs), runs.length > 1 ? keyOf(lines) : null);
}

function confusionTile({ confusion, threshold }) {
  const words = `Rows: what is there. Columns: what was detected, at scores from ${figure(threshold.best)} and an IoU from 0.5. The last column counts misses, the last row detections of nothing.`;
  return tile("matrix", "Confusion", words, drawConfusion(confusion));
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
