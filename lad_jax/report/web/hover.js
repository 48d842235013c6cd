// The box beside the pointer, which says what is under it.

const HOVER = document.getElementById("hover");

/** Show content beside a point of the window, on the side where there is room. */
function showHover(x, y, ...content) {
  HOVER.replaceChildren(...content);
  HOVER.hidden = false;
  const { width, height } = HOVER.getBoundingClientRect();
  HOVER.style.left = `${x + 18 + width > innerWidth ? Math.max(0, x - 18 - width) : x + 18}px`;
  HOVER.style.top = `${Math.max(0, Math.min(innerHeight - height, y + 12))}px`;
}

function hideHover() {
  HOVER.hidden = true;
}
