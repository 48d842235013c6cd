// Panels of a picture, one a level of the pyramid: costs as heat, boxes of objects, positives as dots.

/** Widths of panels, so that all of them show at once, or scroll where they would be too small to read. */
function panelWidth(number, picture, room) {
  const aspect = picture.height / picture.width;
  const widths = Array.from({ length: number }, (_, i) => i + 1).map((columns) => {
    const rows = Math.ceil(number / columns);
    return Math.min((room.width - 8 * (columns - 1)) / columns, (room.height / rows - 28) / aspect);
  });
  return Math.floor(Math.max(220, Math.min(room.width, Math.max(...widths))));
}

/** Levels on which anything is a candidate, and the others. */
function splitLevels(picture, ...seen) {
  const priors = new Set(seen.flatMap((each) => (each ? [...each.atPrior.keys(), ...each.positives.keys()] : [])));
  const open = new Set([...priors].map((prior) => placeOf(picture, prior).level));
  const levels = picture.levels.map((_, level) => level);
  return { open: levels.filter((level) => open.has(level)), folded: levels.filter((level) => !open.has(level)) };
}

/** The panels of all levels that have candidates, and a line for the others. */
function drawPanels({ picture, a, b, heat, heatRange, object, contested, zoomed, room, onobject }) {
  const { open, folded } = splitLevels(picture, a, b);
  const width = panelWidth(open.length, picture, room);
  const dots = compare(a, b);
  const part = partOf(picture, zoomed ? object : -1);
  const panels = open.map((level) => {
    const scene = {
      picture,
      level,
      part,
      scale: width / part.width,
      a,
      b,
      object,
      dots: dots.filter((dot) => placeOf(picture, dot.prior).level === level),
    };
    const marked = contested && [...contested].filter((prior) => placeOf(picture, prior).level === level);
    const node = drawPanel(scene, heat && heatPaths(scene, heat, heatRange), marked);
    followPrior(node, scene, onobject);
    return html(
      "figure",
      { style: `width:${width}px`, "data-level": level },
      node,
      html("figcaption", {}, captionOf(scene)),
    );
  });
  const line = folded.length
    ? html(
        "p",
        { class: "folded" },
        `Without candidates: ${folded.map((level) => `stride ${picture.levels[level].stride}`).join(", ")}`,
      )
    : null;
  return [html("div", { class: "panels" }, panels), line];
}

/** The part of a picture that panels show: all of it, or an object and as much around it, in the picture's shape. */
function partOf(picture, object) {
  if (object < 0) return { x: 0, y: 0, width: picture.width, height: picture.height };
  const [x1, y1, x2, y2] = picture.objects[object].box;
  const share = Math.min(1, Math.max(0.2, (2 * (x2 - x1)) / picture.width, (2 * (y2 - y1)) / picture.height));
  const [width, height] = [share * picture.width, share * picture.height];
  const within = (centre, side, whole) => Math.max(0, Math.min(whole - side, centre - side / 2));
  return {
    x: within((x1 + x2) / 2, width, picture.width),
    y: within((y1 + y2) / 2, height, picture.height),
    width,
    height,
  };
}

function captionOf({ picture, level, dots, a }) {
  const candidates = [...a.atPrior.keys()].filter((prior) => placeOf(picture, prior).level === level).length;
  const positive = dots.filter((dot) => dot.kind !== "there").length;
  return [
    html("b", {}, `stride ${picture.levels[level].stride}`),
    ` ${positive} positive of ${count(candidates, "candidate")}`,
  ];
}

const IMAGES = new Map();

/** The image of a panel, which is kept: a new one would flicker. */
function imageOf({ picture, level, scale }) {
  if (!IMAGES.has(level)) IMAGES.set(level, svg("image", { preserveAspectRatio: "none" }));
  const image = IMAGES.get(level);
  if (image.getAttribute("href") !== picture.jpeg) image.setAttribute("href", picture.jpeg);
  image.setAttribute("width", picture.width * scale);
  image.setAttribute("height", picture.height * scale);
  return image;
}

/** A panel; all that is in it has the picture's places times the scale. */
function drawPanel(scene, heat, contested) {
  const { picture, part, scale, level, object, dots } = scene;
  const [width, height] = [part.width * scale, part.height * scale].map(Math.round);
  const chosenLast = (one, other) => (one === object) - (other === object);
  const objects = picture.objects.map((_, index) => index).sort(chosenLast);
  const ordered = [...dots].sort((one, other) => chosenLast(one.object, other.object));
  return svg(
    "svg",
    {
      class: `panel${heat ? " heated" : ""}`,
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      tabindex: 0,
      id: `level-${level}`,
      role: "img",
      "aria-label": `Level of stride ${picture.levels[level].stride}; the arrow keys go over its priors`,
    },
    svg(
      "g",
      { class: "scene", transform: `translate(${-part.x * scale} ${-part.y * scale})` },
      imageOf(scene),
      heat && svg("g", { class: "heat" }, heat),
      objects.map((index) => drawObject(scene, index)),
      contested && drawContested(scene, contested),
      svg(
        "g",
        { class: "dots" },
        ordered.map((dot) => drawDot(scene, dot)),
      ),
      svg("g", { class: "cursor" }),
    ),
  );
}

/** Squares around the centres of candidates, in the colour of their cost: one path a colour. */
function heatPaths({ picture, level, scale, object }, seen, [low, high]) {
  const texts = HEAT.map(() => "");
  const cell = picture.levels[level].stride * scale;
  for (const [prior, rows] of seen.atPrior) {
    const place = placeOf(picture, prior);
    if (place.level !== level) continue;
    const costs = rows
      .filter((row) => object < 0 || seen.recorded.entries.object[row] === object)
      .map((row) => seen.costs[row]);
    const cheapest = Math.min(...costs.filter((cost) => cost !== null));
    if (!Number.isFinite(cheapest)) continue;
    const bin = Math.max(0, Math.min(HEAT.length - 1, Math.floor(((cheapest - low) / (high - low)) * HEAT.length)));
    texts[bin] +=
      `M${(place.x * scale - cell / 2).toFixed(1)} ${(place.y * scale - cell / 2).toFixed(1)}h${cell.toFixed(1)}v${cell.toFixed(1)}h${(-cell).toFixed(1)}z`;
  }
  return texts.map((d, bin) =>
    d ? svg("path", { d, fill: HEAT[bin], "fill-opacity": 0.75 - (0.45 * bin) / HEAT.length }) : null,
  );
}

function drawObject({ picture, part, scale, a, object: chosen }, object) {
  const { box, crowd } = picture.objects[object];
  const [x, y, right, bottom] = box.map((value) => value * scale);
  const rectangle = { x, y, width: Math.max(1, right - x), height: Math.max(1, bottom - y) };
  const without = !crowd && a.objects[object].n_positive === 0;
  const colour = colourOf(object);
  const kind = crowd ? " crowd" : without ? " without" : "";
  const text = `${object}${crowd ? " crowd" : without ? " none" : ""}`;
  const wide = 7 + 6.5 * text.length;
  const [left, above] = [part.x * scale, part.y * scale];
  const tagX = Math.max(left, x - 1);
  const tagY = y - 13 >= above ? y - 13 : Math.max(above, y); // above the box where there is room
  return svg(
    "g",
    {
      class: `object${kind}${chosen >= 0 && chosen !== object ? " faded" : ""}${chosen === object ? " chosen" : ""}`,
      "data-object": object,
    },
    svg("rect", { class: "casing", ...rectangle }),
    svg("rect", { class: "box", ...rectangle, stroke: colour }),
    without &&
      svg("path", { class: "cross", d: `M${x} ${y}L${right} ${bottom}M${right} ${y}L${x} ${bottom}`, stroke: colour }),
    svg("rect", { x: tagX, y: tagY, width: wide, height: 13, fill: colour }),
    svg("text", { x: tagX + wide / 2, y: tagY + 10, "text-anchor": "middle", fill: inkOn(colour) }, text),
  );
}

/** A dot: a circle where A and B agree, a square of A alone, an open diamond of B alone; pierced where the second network taught. */
function drawDot({ picture, scale, object: chosen, a }, { prior, object, kind }) {
  const { x, y, stride } = placeOf(picture, prior);
  const size = Math.max(3, Math.min(6.5, stride * scale * 0.36));
  const shape = dotShape(kind, x * scale, y * scale, size, colourOf(object));
  const faded = chosen >= 0 && chosen !== object;
  const dot = svg(
    "g",
    { class: `dot ${kind}${faded ? " faded" : ""}`, "data-prior": prior, "data-object": object },
    shape,
  );
  if (kind !== "there" && taughtBySecond(a, prior, object))
    dot.append(svg("circle", { class: "pip", cx: x * scale, cy: y * scale, r: size * 0.36 }));
  return dot;
}

function dotShape(kind, x, y, size, colour) {
  if (kind === "shared") return svg("circle", { cx: x, cy: y, r: size, fill: colour });
  if (kind === "here")
    return svg("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size, fill: colour });
  const reach = size * 1.3;
  const d = `M${x} ${y - reach}L${x + reach} ${y}L${x} ${y + reach}L${x - reach} ${y}Z`;
  return [svg("path", { class: "halo", d }), svg("path", { class: "open", d, stroke: colour })];
}

/** Whether the cost of a positive is from a network other than the first. */
function taughtBySecond(seen, prior, object) {
  const { recorded } = seen;
  if (seen.view.network || !recorded.source) return false;
  const row = (seen.atPrior.get(prior) ?? []).find((each) => recorded.entries.object[each] === object);
  return row !== undefined && recorded.source[row] > 0;
}

function drawContested({ picture, scale }, priors) {
  const d = priors
    .map((prior) => {
      const { x, y, stride } = placeOf(picture, prior);
      const reach = Math.max(2.5, Math.min(5, stride * scale * 0.3));
      return `M${x * scale - reach} ${y * scale - reach}l${2 * reach} ${2 * reach}m0 ${-2 * reach}l${-2 * reach} ${2 * reach}`;
    })
    .join("");
  return svg(
    "g",
    { class: "contested", "data-count": priors.length },
    svg("path", { class: "halo", d }),
    svg("path", { d }),
  );
}
