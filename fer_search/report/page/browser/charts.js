// Charts are drawn as they scroll into view, in the colours of the page, and printed in light ones.
const elements = [...document.querySelectorAll(".chart")];
const near = new Set();  // charts in view, or nearly so
let now = null;          // the reader's choice, and the trials that it lets through

const DATA = new Set(["x", "y", "z", "text", "customdata", "array", "arrayminus"]);  // nothing to paint in them

function paint(value, dark, key = "") {
  if (Array.isArray(value)) return DATA.has(key) ? value : value.map(one => paint(one, dark, key));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, paint(one, dark, name)]));
  return dark && /color$/.test(key) && settings.dark[value] || value;
}

function figure(element, dark) {
  const chart = charts[element.id], part = element.closest("[data-budget]");
  const layout = paint(structuredClone(chart.layout), dark);
  const focus = now.state.trial >= 0 ? now.state.trial : now.shown[0] ?? 0;
  const view = { ...now, chart, layout, focus, part, budget: part?.dataset.budget, ink: dark ? "white" : "black" };
  const data = chart.data.flatMap(trace => roles[trace.meta?.role] ? roles[trace.meta.role](trace, view) : [trace]);
  const touch = matchMedia("(pointer: coarse)").matches;
  if (touch && layout.dragmode !== "select") layout.dragmode = false;  // a finger scrolls the page
  const config = touch ? { ...settings.config, displayModeBar: false } : settings.config;
  return { data: paint(data, dark), layout, config, caption: view.caption, of: view.of };
}

function draw(element, dark = night.matches) {
  const drawn = figure(element, dark), first = !element.dataset.drawn;
  element.dataset.drawn = now.version;
  const [title, of] = element.parentNode.querySelector("figcaption").childNodes;
  if (drawn.caption) title.data = drawn.caption.replace(/^t/, "T");
  const whole = element.dataset.of ??= of.textContent;
  of.textContent = drawn.of ?? whole;
  element.setAttribute("aria-label", [title.data, of.textContent].filter(Boolean).join(", "));
  if (element.style.height && drawn.layout.height) element.style.height = `${drawn.layout.height}px`;
  Plotly.react(element, drawn.data, drawn.layout, drawn.config);
  if (!first) return;
  element.on("plotly_click", event => {
    const row = event.points.map(point => point.customdata).find(row => Number.isInteger(row) && table.trial[row] !== undefined);
    if (row !== undefined) select(row);
  });
  element.on("plotly_selected", event => event?.range && brush(charts[element.id], event.range));
}

// A drag over an axis of the parallel coordinates ticks the values or ranges of the trials that pass there.
function brush(chart, range) {
  const known = segments(chart), [left, right] = range.x, [low, high] = range.y;
  chart.axes.forEach((name, axis) => {
    if (axis < Math.min(left, right) || axis > Math.max(left, right)) return;
    const at = table.choices.findIndex(choice => choice.name === name);
    if (at < 0) return;
    const places = new Set(now.shown.filter(row => known.has(row) && known.get(row)[axis] >= Math.min(low, high)
      && known.get(row)[axis] <= Math.max(low, high)).map(row => table.choices[at].place[row]));
    for (const box of form.elements["c" + at].length ? form.elements["c" + at] : [form.elements["c" + at]])
      box.checked = places.has(+box.value);
  });
  update();
}

const stale = element => element.dataset.drawn !== String(now.version);
const drawNear = () => near.forEach(element => stale(element) && draw(element));

function drawCharts() {
  new IntersectionObserver(entries => {
    for (const entry of entries) entry.isIntersecting ? near.add(entry.target) : near.delete(entry.target);
    drawNear();
  }, { rootMargin: "400px" }).observeAll(elements);
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

IntersectionObserver.prototype.observeAll = function (list) { list.forEach(element => this.observe(element)); };
