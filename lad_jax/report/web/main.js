// The start: tabs, the state's defaults, and what draws the page again.

const PARTS = { responsible: drawResponsible, curves: drawCurves, errors: drawErrors };

/** Draw the part that is shown. */
function draw() {
  if (!(STATE.tab in PARTS)) STATE.tab = "responsible";
  hideHover();
  for (const name of Object.keys(PARTS)) {
    const shown = name === STATE.tab;
    const tab = document.getElementById(`tab-${name}`);
    tab.setAttribute("aria-selected", String(shown));
    tab.tabIndex = shown ? 0 : -1;
    document.getElementById(name).hidden = !shown;
  }
  PARTS[STATE.tab](document.getElementById(STATE.tab));
}

function listenToTabs() {
  const names = Object.keys(PARTS);
  const show = (name) => change({ tab: name });
  for (const [index, name] of names.entries()) {
    const tab = document.getElementById(`tab-${name}`);
    tab.addEventListener("click", () => show(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = names[(index + step + names.length) % names.length];
      show(next);
      document.getElementById(`tab-${next}`).focus();
    });
  }
}

function start() {
  document.getElementById("notes").textContent = [REPORT.made, ...REPORT.notes].join(" · ");
  begin({
    tab: VIEWS.length ? "responsible" : "curves",
    picture: -1,
    order: "worst",
    a: VIEWS[0]?.key ?? "",
    b: (VIEWS.find((view) => view.run !== VIEWS[0]?.run) ?? VIEWS[1])?.key ?? "",
    at: -1,
    object: -1,
    costs: "a",
    contested: 0,
    zoom: 0,
    smooth: 0,
    hidden: "",
    run: 0,
    class: 0,
    threshold: -1,
    worst: -1,
  });
  listenToTabs();
  addEventListener("hashchange", () => {
    readAddress();
    draw();
  });
  addEventListener("resize", draw);
  draw();
}

start();
