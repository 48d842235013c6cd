// The part "Who is responsible": controls, panels, and on the side the objects and the one that is chosen.

/** Draw the part from the state. */
function drawResponsible(section) {
  const viewA = viewOf(STATE.a) ?? VIEWS[0];
  if (!viewA || !PICTURES.length)
    return refill(section, html("p", { class: "empty" }, "None of these runs has recorded an assignment."));
  const shown = chooseShown(viewA);
  const { picture, object, index, a, b, at } = shown;
  const places = placesOf(section, "controls", "pictures", "levels", "side");
  const onobject = (chosen) => change({ picture: index, object: chosen === object ? -1 : chosen });
  drawControls(places.controls, shown);
  const dependsOn = STATE.order === "without" ? [viewA.key, at] : [viewA.run.name];
  fillOnce(places.pictures, [index, STATE.order, ...dependsOn], () => [
    orderChoice(),
    STATE.order === "without" ? html("p", { id: "who" }, whoseAreWithout(viewA, at)) : null,
    drawStrip(index, STATE.order, viewA, at),
  ]);
  refill(
    places.levels,
    html("p", { id: "summary" }, summaryOf(shown)),
    legend(shown),
    drawPanels({ ...shown, room: roomOf(places.levels), onobject }),
  );
  refill(
    places.side,
    drawObjects(picture, a, b, object, (chosen) => change({ picture: index, object: chosen })),
    html(
      "div",
      { class: "details", id: `details-${object}`, "data-scroll": true },
      object < 0
        ? [introduction(shown), drawHistory(shown)]
        : [
            detailsOf(shown),
            picture.objects[object].crowd ? null : drawCandidates(picture, a, object),
            drawHistory(shown),
          ],
    ),
  );
  showChosen(document.getElementById("strip"));
  showChosen(document.getElementById("objects"));
}

/** What the state says, put within what there is. */
function chooseShown(viewA) {
  const within = (value, number) => Math.max(0, Math.min(number - 1, Math.trunc(value)));
  const evaluations = viewA.run.evaluations;
  const at = STATE.at < 0 ? evaluations.length - 1 : within(STATE.at, evaluations.length);
  const index = STATE.picture < 0 ? orderedPictures(STATE.order, viewA, at)[0] : within(STATE.picture, PICTURES.length);
  const viewB = STATE.b === STATE.a ? null : viewOf(STATE.b);
  const atB = viewB && nearestEvaluation(viewB.run, evaluations[at].step);
  const a = see(viewA, at, index);
  const b = viewB && see(viewB, atB, index);
  const heat = STATE.costs === "a" ? a : STATE.costs === "b" ? b : null;
  const picture = PICTURES[index];
  const object = STATE.object < picture.objects.length ? Math.max(-1, Math.trunc(STATE.object)) : -1;
  const contested = STATE.contested ? contestedPriors(a, at, index, object) : null;
  const heatRange = rangeOfHeat(a, b);
  return { a, b, at, atB, index, picture, object, contested, heat, heatRange, zoomed: Boolean(STATE.zoom) };
}

/** From the smallest cost to one that most lie below: few costly candidates would leave all others of one colour. */
function rangeOfHeat(a, b) {
  const costs = [...a.costs, ...(b?.costs ?? [])];
  return extent([extent(costs)[0], quantile(costs, 0.9)]);
}

/** Width and height that panels have without scrolling [pixels]. */
function roomOf(place) {
  return { width: Math.max(320, place.clientWidth), height: Math.max(330, place.clientHeight - 70) };
}

function drawControls(place, { a, b, at, atB, index }) {
  const names = VIEWS.map((view) => [view.key, view.name]);
  const evaluations = a.view.run.evaluations;
  fillOnce(place, [a.view.key, b?.view.key, STATE.costs, STATE.contested, STATE.zoom, index], () => [
    choice("A ", names, a.view.key, (key) => change({ a: key })),
    choice("against B ", [["", "nothing"], ...names.filter(([key]) => key !== a.view.key)], b?.view.key ?? "", (key) =>
      change({ b: key }),
    ),
    slider(
      "evaluation ",
      { min: 0, max: evaluations.length - 1, step: 1, value: at, text: "", id: "evaluation" },
      (value) => change({ at: value, picture: index }),
    ),
    choice("costs ", [["a", "of A"], ...(b ? [["b", "of B"]] : []), ["off", "hidden"]], STATE.costs, (costs) =>
      change({ costs }),
    ),
    tick(
      "zoom",
      Boolean(STATE.zoom),
      (on) => change({ zoom: Number(on) }),
      "Show the chosen object and what is around it",
    ),
    tick(
      "contested",
      Boolean(STATE.contested),
      (on) => change({ contested: Number(on) }),
      "Mark priors that several objects may have, or that the networks of the run would give to different objects",
    ),
  ]);
  const { step, epoch, overall } = evaluations[at];
  const stepB = b?.view.run.evaluations[atB].step;
  const other = b && stepB !== step ? ` (B: step ${stepB})` : "";
  document.getElementById("evaluation").disabled = evaluations.length < 2;
  setSlider("evaluation", at, `step ${step}, epoch ${figure(epoch)}, AP ${figure(overall?.AP)}${other}`);
}

function orderChoice() {
  return html(
    "select",
    { "aria-label": "Order of the pictures", onchange: (event) => change({ order: event.target.value, picture: -1, object: -1 }) },
    [
      ["worst", "worst first"],
      ["without", "✕ first"],
      ["name", "by name"],
    ].map(([value, text]) => html("option", { value, selected: value === STATE.order }, text)),
  );
}

/** By whose costs a run assigns, where these are not the student's alone. */
function byWhom({ run, network }) {
  const own = run.costs_from.length === 1 && run.costs_from[0] === "student";
  return network || own ? "" : ` (by ${run.costs_from.join(" and ")})`;
}

/** How many positives A and B share. */
function summaryOf({ a, b, at, index, picture, contested }) {
  const kinds = { shared: 0, here: 0, there: 0 };
  for (const { kind } of compare(a, b)) kinds[kind] += 1;
  const without = withoutPositives(a.view, at, index);
  const words = [
    html("b", {}, picture.name),
    ` ${count(picture.objects.length, "object")}, ${without || "none"} without positives; `,
    html("b", {}, count(a.positives.size, "positive")),
    ` in ${a.view.name}${byWhom(a.view)}`,
  ];
  if (b)
    words.push(
      `, ${b.positives.size} in ${b.view.name}${byWhom(b.view)}: `,
      html("b", {}, `${kinds.shared} shared, ${kinds.here} only A, ${kinds.there} only B`),
    );
  if (contested) words.push(`; ${contested.size} contested`);
  return words;
}

function detailsOf({ a, b, picture, object }) {
  const seen = b ? [a, b] : [a];
  return html(
    "div",
    {},
    html("h2", {}, `Object ${nameOf(picture, object)}`),
    html("p", { id: "reason" }, reasonOf(picture, a, object)),
    picture.objects[object].crowd
      ? null
      : [
          drawHistograms(seen, object),
          html(
            "p",
            { class: "faint" },
            "Candidates by cost, cheap on the left; coloured: positive, gray: not. ",
            seen.some((each) => each.objects[object].explanation.means)
              ? "Curves: the two groups that the assigner found among the nine cheapest of each level (by PAA's defaults), " +
                "cheap (solid) and costly (dashed). Of those nine all are positive up to where both curves together " +
                "are highest."
              : "",
          ),
        ],
  );
}
