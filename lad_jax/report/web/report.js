// The report: its data, and where things are in it.

const REPORT = JSON.parse(document.getElementById("data").textContent);
const PICTURES = REPORT.pictures;
const RUNS = REPORT.runs;

/** Level, row, column and centre [pixels] of a prior; the centre is the top left corner of its cell. */
function placeOf(picture, prior) {
  let first = 0;
  for (const [level, { stride, rows, columns }] of picture.levels.entries()) {
    const inner = prior - first;
    if (inner < rows * columns) {
      const [row, column] = [Math.floor(inner / columns), inner % columns];
      return { prior, level, stride, row, column, x: column * stride, y: row * stride };
    }
    first += rows * columns;
  }
  throw new Error(`prior ${prior} is beyond the levels of ${picture.name}`);
}

/** The prior whose centre is nearest to a point [pixels] of a level. */
function priorAt(picture, level, x, y) {
  const before = picture.levels.slice(0, level).reduce((sum, each) => sum + each.rows * each.columns, 0);
  const { stride, rows, columns } = picture.levels[level];
  const column = Math.max(0, Math.min(columns - 1, Math.round(x / stride)));
  const row = Math.max(0, Math.min(rows - 1, Math.round(y / stride)));
  return before + row * columns + column;
}

/** "2 (fish)". */
function nameOf(picture, object) {
  return `${object} (${REPORT.class_names[picture.objects[object].label]})`;
}

/** Indices of the pictures: by name, or those first with most mistakes or objects without positives. */
function orderedPictures(order, view, evaluation) {
  const indices = PICTURES.map((_, index) => index);
  if (order === "name") return indices.sort((a, b) => (PICTURES[a].name < PICTURES[b].name ? -1 : 1));
  const mistakes = mistakesOfPictures(view.run);
  const numbers = indices.map((index) =>
    order === "without" ? withoutPositives(view, evaluation, index) : (mistakes.get(index) ?? 0),
  );
  return indices.sort((a, b) => numbers[b] - numbers[a] || a - b);
}

/** Number of a picture's objects without positives in a view, crowd regions aside. */
function withoutPositives(view, evaluation, picture) {
  const recorded = view.run.evaluations[evaluation].pictures[picture];
  const { objects } = view.network ? recorded.alone[view.network] : recorded;
  return objects.filter(({ n_positive }, index) => !PICTURES[picture].objects[index].crowd && n_positive === 0).length;
}

/** How many objects of the recorded pictures are without positives: of the view, and of other runs that have some. */
function whoseAreWithout(view, evaluation) {
  const numberOf = (other, at) =>
    PICTURES.reduce((sum, _, picture) => sum + withoutPositives(other, at, picture), 0);
  const { step } = view.run.evaluations[evaluation];
  const others = VIEWS.filter((other) => !other.network && other.run !== view.run)
    .map((other) => [other.run.name, numberOf(other, nearestEvaluation(other.run, step))])
    .filter(([, number]) => number);
  const rest = others.map(([name, number]) => `, ${number} in ${name}`).join("");
  return `${numberOf(view, evaluation) || "none"} in ${view.name}${rest}`;
}

/** Misses and false positives by picture, of a run. */
function mistakesOfPictures(run) {
  const rows = run.errors?.worst ?? [];
  return new Map(
    rows.filter((row) => row.picture !== null).map((row) => [row.picture, row.misses + row.false_positives]),
  );
}
