// The strip of pictures.

function drawStrip(chosen, order, run) {
  const mistakes = mistakesOfPictures(run);
  const rows = orderedPictures(order, run).map((index) => ({
    key: index,
    title: PICTURES[index].name,
    content: [
      html("img", {
        src: PICTURES[index].jpeg,
        alt: PICTURES[index].name,
        width: PICTURES[index].width,
        height: PICTURES[index].height,
      }),
      mistakes.has(index)
        ? html("span", { class: "badge", title: "misses and false positives" }, `${mistakes.get(index)} wrong`)
        : null,
    ],
  }));
  return listbox("strip", "Pictures", rows, chosen, (picture) => change({ picture, object: -1 }), {
    "data-scroll": true,
  });
}
