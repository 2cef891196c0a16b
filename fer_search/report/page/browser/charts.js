// Charts are drawn as they scroll into view, in the colours of the page, and printed in light ones.
let elements = [...document.querySelectorAll(".chart")];
const near = new Set();  // charts in view, or nearly so
let now = null;          // the reader's choices, and the designs that pass the filter

const DATA = new Set(["x", "y", "z", "text", "customdata", "array", "arrayminus"]);  // holds no colours

function paint(value, dark, key = "") {
  if (Array.isArray(value)) return DATA.has(key) ? value : value.map(entry => paint(entry, dark, key));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, paint(entry, dark, name)]));
  return dark && /color$/.test(key) && settings.dark[value] || value;
}

function figure(element, dark) {
  const chart = charts[element.id], layout = paint(structuredClone(chart.layout), dark);
  const focus = now.state.trial >= 0 ? now.state.trial : Math.max(0, table.accuracy.any.findIndex((value, row) => value >= 0 && table.status[row] === "completed"));
  const view = { ...now, chart, layout, focus, ink: dark ? "white" : "black" };
  const data = chart.data.flatMap(trace => roles[trace.meta?.role] ? roles[trace.meta.role](trace, view) : [trace]);
  if (view.limits) setLimits(layout, view.limits);
  const touch = matchMedia("(pointer: coarse)").matches;
  if (touch && layout.dragmode !== "select") layout.dragmode = false;  // a finger scrolls the page
  const config = touch ? { ...settings.config, displayModeBar: false } : settings.config;
  return { data: paint(data, dark), layout, config, caption: view.caption, of: view.of };
}

// An accuracy axis, with a dashed line for the most frequent class unless it is far below.
function setLimits(layout, [low, high]) {
  if (layout.meta?.majority && settings.majority) {
    const share = settings.majority[1];
    if (share < low && share >= low - (high - low)) low = share - 0.03 * (high - share);
    const line = layout.shapes?.find(one => one.name === "majority")?.line || { color: settings.muted, width: 1.3, dash: "dash" };
    layout.shapes = (layout.shapes || []).filter(one => one.name !== "majority");
    if (share >= low) layout.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: share, y1: share, layer: "below", name: "majority", line });
  }
  layout.yaxis.range = [low, high];
}

// The words behind a subtitle: what the dashed line is.
function majorityWords(layout) {
  if (!layout.meta?.majority || !settings.majority) return "";
  const [name, share] = settings.majority;
  return ` · ${share >= layout.yaxis.range[0] ? "dashed" : "below the plot"}: always ${name} ${percent(share)}`;
}

function draw(element, dark = night.matches) {
  if (!charts[element.id]) return;
  const drawn = figure(element, dark), first = !element.dataset.drawn;
  element.dataset.drawn = now.version;
  const [title, of] = element.parentNode.querySelector("figcaption").childNodes;
  if (drawn.caption) title.data = drawn.caption.replace(/^t/, "T");
  const whole = element.dataset.of ??= of.textContent;
  of.textContent = drawn.of === undefined ? whole : drawn.of + majorityWords(drawn.layout);
  element.setAttribute("aria-label", [title.data, of.textContent].filter(Boolean).join(", "));
  if (element.style.height && drawn.layout.height) element.style.height = `${drawn.layout.height}px`;
  Plotly.react(element, drawn.data, drawn.layout, drawn.config);
  if (!first) return;
  element.on("plotly_click", event => {
    const row = event.points.map(point => point.customdata).find(row => Number.isInteger(row) && table.trial[row] !== undefined);
    if (row !== undefined) select(row);
  });
  if (!charts[element.id].axes.length) return;
  element.addEventListener("pointerdown", event => { element.pressed = event.clientX - element.getBoundingClientRect().left; }, true);
  element.on("plotly_selected", event => event?.range && brush(element, event.range));
}

// A drag along an axis of the parallel coordinates ticks the values or ranges of the designs that pass there. It is one
// axis, the nearest to where the drag began: a straight drag selects the full width of the plot.
function brush(element, range) {
  const chart = charts[element.id], axes = element._fullLayout.xaxis, [low, high] = [...range.y].sort((a, b) => a - b);
  const axis = Math.round(axes.p2l(element.pressed - axes._offset)), known = segments(chart);
  const choice = table.choices.findIndex(one => one.name === chart.axes[axis]);
  Plotly.relayout(element, { selections: [] });
  if (choice < 0) return;
  const passes = row => known.get(row)?.[axis] >= low && known.get(row)?.[axis] <= high;
  const places = new Set(now.shown.filter(passes).map(row => table.choices[choice].place[row]));
  if (!places.size) return;  // nothing passes there: keep everything
  const boxes = form.elements["c" + choice];
  for (const box of boxes.length ? boxes : [boxes]) box.checked = places.has(+box.value);
  update();
}

const stale = element => element.dataset.drawn !== String(now.version);
const drawNear = () => near.forEach(element => stale(element) && draw(element));

const watcher = new IntersectionObserver(entries => {
  for (const entry of entries) entry.isIntersecting ? near.add(entry.target) : near.delete(entry.target);
  if (window.Plotly) drawNear();
}, { rootMargin: "400px" });

function drawCharts() {
  elements.forEach(element => watcher.observe(element));
  night.addEventListener("change", () => { now.version++; drawNear(); });
  addEventListener("beforeprint", () => elements.filter(one => one.offsetParent).forEach(element => {
    draw(element, false);
    const { width, height } = element._fullLayout;
    element.style.setProperty("--ratio", `${width} / ${height}`);
    element.querySelectorAll(".main-svg").forEach(svg => svg.setAttribute("viewBox", `0 0 ${width} ${height}`));
  }));
  addEventListener("afterprint", () => elements.filter(one => one.dataset.drawn).forEach(element => {
    element.querySelectorAll(".main-svg").forEach(svg => svg.removeAttribute("viewBox"));
    draw(element);
  }));
}
