// The strip of pictures.

function drawStrip(chosen, order, view, evaluation) {
  const rows = orderedPictures(order, view, evaluation).map((index) => ({
    key: index,
    title: PICTURES[index].name,
    content: [
      html("img", {
        src: PICTURES[index].jpeg,
        alt: PICTURES[index].name,
        width: PICTURES[index].width,
        height: PICTURES[index].height,
      }),
      order === "without" ? badgeOfWithout(view, evaluation, index) : badgeOfMistakes(view.run, index),
    ],
  }));
  return listbox("strip", "Pictures", rows, chosen, (picture) => change({ picture, object: -1 }), {
    "data-scroll": true,
  });
}

function badgeOfMistakes(run, picture) {
  const mistakes = mistakesOfPictures(run).get(picture);
  if (mistakes === undefined) return null;
  const title = `misses and false positives of ${run.name} at its best threshold`;
  return html("span", { class: "badge", title }, `${mistakes} wrong`);
}

function badgeOfWithout(view, evaluation, picture) {
  const number = withoutPositives(view, evaluation, picture);
  return number ? html("span", { class: "badge", title: "objects without positives" }, `${number} ✕`) : null;
}
