// The pictures with most mistakes, each with what is there and what was detected.

const MATCH = 0.5;

function drawWorst(run, chosen, threshold) {
  const rows = run.errors.worst.map((row, key) => ({
    key,
    content: [
      html("span", { class: "name" }, row.name),
      html("span", { class: "share" }, `${row.misses} missed, ${row.false_positives} false`),
    ],
  }));
  const row = run.errors.worst[chosen];
  return html(
    "div",
    { class: "worst" },
    listbox("worst", "Pictures with most mistakes", rows, chosen, (key) => change({ worst: key }), {
      "data-scroll": true,
    }),
    row ? drawMistakes(run, row, threshold) : null,
  );
}

function drawMistakes(run, row, threshold) {
  if (row.picture === null || !run.detections.length)
    return html(
      "p",
      { class: "empty" },
      `${row.name} is not among the recorded pictures: it has numbers, but no boxes here.`,
    );
  const picture = PICTURES[row.picture];
  const detections = run.detections[row.picture].filter((each) => each.score >= threshold);
  const { kinds, found } = matchBoxes(picture.objects, detections);
  const width = Math.min(560, (400 * picture.width) / picture.height);
  const [scale, height] = [width / picture.width, (width * picture.height) / picture.width];
  const missed = picture.objects.flatMap((object, i) => (found.has(i) || object.crowd ? [] : [object]));
  return html(
    "figure",
    {},
    svg(
      "svg",
      {
        class: "mistakes",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `${missed.length} missed, ${kinds.filter((kind) => kind === "false").length} false`,
      },
      svg("image", { href: picture.jpeg, width, height, preserveAspectRatio: "none" }),
      missed.map((object) => mistakeBox(object, scale, "missed", `missed ${REPORT.class_names[object.label]}`)),
      detections
        .map((each, i) => mistakeBox(each, scale, kinds[i], `${REPORT.class_names[each.label]} ${figure(each.score)}`))
        .reverse(),
    ),
    html(
      "figcaption",
      { class: "faint" },
      html(
        "ul",
        { class: "legend" },
        [
          ["hit", "found"],
          ["missed", "missed object"],
          ["false", "false detection"],
        ].map(([kind, text]) =>
          html(
            "li",
            {},
            svg(
              "svg",
              { class: "glyph", viewBox: "0 0 18 18", width: 18, height: 18 },
              svg(
                "g",
                { class: `mistake ${kind}` },
                svg("rect", { class: "casing", x: 3, y: 3, width: 12, height: 12 }),
                svg("rect", { x: 3, y: 3, width: 12, height: 12 }),
              ),
            ),
            ` ${text}`,
          ),
        ),
      ),
      `At scores from ${figure(threshold)}; found means an IoU of at least ${MATCH}.`,
    ),
  );
}

/**
 * The kind of each detection, by falling score: a hit of the free object of its class that it overlaps most, `ignored`
 * within a crowd of its class, else false; and the objects that are found.
 */
function matchBoxes(objects, detections) {
  const found = new Set();
  const kinds = detections.map(({ box, label }) => {
    const overlaps = objects.map((object, j) =>
      object.label === label && !found.has(j) && !object.crowd ? iouOf(box, object.box) : 0,
    );
    const best = overlaps.indexOf(Math.max(...overlaps));
    if (overlaps[best] >= MATCH) {
      found.add(best);
      return "hit";
    }
    const within = (object) =>
      object.crowd && object.label === label && commonArea(box, object.box) >= MATCH * areaOf(box);
    return objects.some(within) ? "ignored" : "false";
  });
  return { kinds, found };
}

function commonArea(one, other) {
  const side = (low, high) => Math.max(0, Math.min(one[high], other[high]) - Math.max(one[low], other[low]));
  return side(0, 2) * side(1, 3);
}

function iouOf(one, other) {
  const common = commonArea(one, other);
  return common / (areaOf(one) + areaOf(other) - common);
}

function mistakeBox({ box }, scale, kind, text) {
  const [x, y, right, bottom] = box.map((value) => value * scale);
  const rectangle = { x, y, width: Math.max(1, right - x), height: Math.max(1, bottom - y) };
  const wide = 8 + 5.9 * text.length;
  const tagY = kind === "missed" ? bottom : Math.max(13, y);
  return svg(
    "g",
    { class: `mistake ${kind}` },
    svg("rect", { class: "casing", ...rectangle }),
    svg("rect", rectangle),
    svg("rect", { class: "tag", x: Math.max(0, x), y: tagY - 13, width: wide, height: 13 }),
    svg("text", { x: Math.max(0, x) + 4, y: tagY - 3 }, text),
  );
}
