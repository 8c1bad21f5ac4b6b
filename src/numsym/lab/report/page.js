// Draws the charts of the page by vega-embed, and lets the keyboard walk through their marks.
const specs = JSON.parse(document.getElementById("charts").textContent);
const config = {
  background: "transparent", view: { stroke: "transparent" }, font: "system-ui, Segoe UI, Roboto, Noto Sans, DejaVu Sans, sans-serif",
  axis: { labelColor: "currentColor", titleColor: "currentColor", tickColor: "#8a939b", domainColor: "#8a939b",
    gridColor: "currentColor", gridOpacity: 0.12, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
  legend: { labelColor: "currentColor", titleColor: "currentColor", labelFontSize: 12, titleFontSize: 12,
    titleFontWeight: "normal", symbolSize: 70,
    symbolBaseFillColor: "#858c93", symbolBaseStrokeColor: "#858c93", layout: { bottom: { direction: "vertical", anchor: "start" } } },
  title: { color: "currentColor" },
};
const options = { renderer: "svg", actions: false, config, tooltip: { theme: "custom" }, ast: false };

function walk(place) {
  // One stop of the tab key for a chart; the arrow keys go from mark to mark, Escape leaves them.
  const marks = [...place.querySelectorAll('[role="graphics-symbol"]')].filter(
    (mark) => mark.getAttribute("aria-roledescription") !== "axis" && mark.getAttribute("aria-roledescription") !== "legend");
  const said = place.parentElement.querySelector(".said");
  let at = -1;
  const point = (kind, mark) => {
    const box = mark.getBoundingClientRect();
    const where = { bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
    for (const name of kind) mark.dispatchEvent(new MouseEvent(name, where));
  };
  const leave = () => { if (marks[at]) point(["mouseout"], marks[at]); at = -1; said.textContent = ""; };
  place.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") leave();
    if (!step || !marks.length) return;
    event.preventDefault();
    if (marks[at]) point(["mouseout"], marks[at]);
    at = at < 0 ? (step > 0 ? 0 : marks.length - 1) : (at + step + marks.length) % marks.length;
    point(["pointermove", "mousemove", "mouseover"], marks[at]);
    said.textContent = marks[at].getAttribute("aria-label") || "";
  });
  place.addEventListener("blur", leave);
}

// Of the example trials the one that is chosen is shown.
for (const choice of document.querySelectorAll(".choice")) {
  const panels = [...choice.parentElement.querySelectorAll(".trial")];
  const show = () => panels.forEach((panel, i) => { panel.hidden = String(i) !== choice.value; });
  choice.addEventListener("change", show);
  show();
}

const draw = async (place) => {
  await window.vegaEmbed(place, specs[place.dataset.chart], options);
  place.dataset.drawn = "yes";
  walk(place);
};
// Those in sight first, so that the page can be read before all are there.
const places = [...document.querySelectorAll(".chart")];
for (const place of places) await draw(place);
document.documentElement.dataset.ready = "yes";
