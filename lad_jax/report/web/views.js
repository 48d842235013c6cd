// Views: a run's assignment, or what the costs of one of its networks alone would give.

/** All views: each run as trained, then its networks where these may differ from it. */
function makeViews() {
  return RUNS.flatMap((run, index) => {
    if (!run.evaluations.length) return [];
    const networks = run.networks.filter((network) => run.costs_from.length > 1 || network !== run.costs_from[0]);
    return [
      { key: String(index), run, index, network: null, name: run.name },
      ...networks.map((network) => ({
        key: `${index}.${network}`,
        run,
        index,
        network,
        name: `${run.name}: ${network} alone`,
      })),
    ];
  });
}

const VIEWS = makeViews();

function viewOf(key) {
  return VIEWS.find((view) => view.key === key) ?? null;
}

/** Index of a run's evaluation that is nearest to a step. */
function nearestEvaluation(run, step) {
  const distances = run.evaluations.map((evaluation) => Math.abs(evaluation.step - step));
  return distances.indexOf(Math.min(...distances));
}

const SEEN = new Map();

/** What a view shows of a picture at an evaluation; computed once. */
function see(view, evaluation, picture) {
  const key = `${view.key}/${evaluation}/${picture}`;
  if (!SEEN.has(key)) SEEN.set(key, computeSeen(view, view.run.evaluations[evaluation].pictures[picture]));
  return SEEN.get(key);
}

function computeSeen(view, recorded) {
  const costs = view.network ? recorded.costs[view.network] : assigningCosts(view.run, recorded);
  const rowsOf = recorded.objects.map(() => []);
  const atPrior = new Map();
  recorded.entries.prior.forEach((prior, row) => {
    rowsOf[recorded.entries.object[row]].push(row);
    if (!atPrior.has(prior)) atPrior.set(prior, []);
    atPrior.get(prior).push(row);
  });
  const verdict = view.network ? recorded.alone[view.network] : recorded;
  const positives = new Map(
    verdict.positives.prior.map((prior, i) => [
      prior,
      { object: verdict.positives.object[i], target: verdict.positives.target[i] },
    ]),
  );
  return { view, recorded, costs, rowsOf, atPrior, positives, objects: verdict.objects };
}

/** The network whose cost of an entry decided. */
function sourceOf(run, recorded, row) {
  return run.costs_from[recorded.source ? Math.max(0, recorded.source[row]) : 0];
}

function assigningCosts(run, recorded) {
  return recorded.entries.prior.map((_, row) => recorded.costs[sourceOf(run, recorded, row)][row]);
}

/** Whether an entry is positive in what is seen. */
function isPositive(seen, row) {
  return seen.positives.get(seen.recorded.entries.prior[row])?.object === seen.recorded.entries.object[row];
}

/** The dots of A against B: `shared`, `here` (A alone) and `there` (B alone); without B all are shared. */
function compare(a, b) {
  const dots = [];
  for (const [prior, { object }] of a.positives) {
    const shared = !b || b.positives.get(prior)?.object === object;
    dots.push({ prior, object, kind: shared ? "shared" : "here" });
  }
  for (const [prior, { object }] of b?.positives ?? []) {
    if (a.positives.get(prior)?.object !== object) dots.push({ prior, object, kind: "there" });
  }
  return dots;
}

/**
 * Priors that more than one object may have, or that the networks of the run give to different objects or to none; of
 * the chosen object alone, if there is one.
 */
function contestedPriors(seen, evaluation, picture, object) {
  const contested = new Set();
  for (const [prior, rows] of seen.atPrior) if (rows.length > 1) contested.add(prior);
  const networks = VIEWS.filter((view) => view.network && view.run === seen.view.run);
  const answers = networks.map((view) => see(view, evaluation, picture).positives);
  if (networks.length && !networks.some((view) => view.key === seen.view.key)) answers.push(seen.positives);
  for (const answer of answers) {
    for (const [prior, { object }] of answer) {
      if (answers.some((other) => other.get(prior)?.object !== object)) contested.add(prior);
    }
  }
  if (object < 0) return contested;
  const entries = seen.recorded.entries;
  return new Set(seen.rowsOf[object].map((row) => entries.prior[row]).filter((prior) => contested.has(prior)));
}
