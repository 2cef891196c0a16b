// The page as a whole: one change of the form, one update of everything.
const EMPTY = { trial: [], rows: {}, status: [], accuracy: { any: [] }, choices: [], columns: [], curves: {}, tags: [] };  // several runs

function select(row) {
  form.elements.t.value = row < 0 ? "" : table.trial[row];
  update();
}

function update() {
  const state = chosen();
  now = { state, ...filtered(state), version: (now?.version ?? 0) + 1 };
  if (form) {
    writeHash();
    const total = table.trial.length, count = now.shown.length === total ? "" : ` of ${total.toLocaleString("en")}`;
    const noun = total === 1 ? "design" : "designs";
    document.getElementById("count").textContent = `${now.shown.length.toLocaleString("en")}${count} ${noun}`;
    drawLegend(state);
    for (const box of form.querySelectorAll("fieldset"))
      box.classList.toggle("used", [...box.elements].some(one => one.checked));
    form.querySelector(".pick")?.classList.toggle("used", state.picked.size > 0);
  }
  const bar = document.querySelector(".bar-of-filters"), sticks = bar && getComputedStyle(bar).position === "sticky";
  document.documentElement.style.scrollPaddingTop = `${document.querySelector("nav").offsetHeight + (sticks ? bar.offsetHeight : 0) + 12}px`;
  drawRanking();
  if (window.Plotly) drawNear();
}

function drawLegend(state) {
  const legend = document.getElementById("legend"), choice = table.choices[state.colour];
  legend.replaceChildren(...(state.colour && choice ? choice.groups : []).map((name, place) => {
    const item = line("span", name), row = choice.place.indexOf(place);
    item.style.setProperty("--swatch", colourOf(row, state, ""));
    return item;
  }));
}

async function load(root = document) {
  const content = JSON.parse(await unpack("content-gzip", root));
  table = content.table.trial ? content.table : EMPTY;
  charts = content.charts;
}

async function start() {
  await load();
  prepareRanking();
  if (form) prepareForm();
  update();
  if (elements.length) await loadPlotly().then(drawCharts);
  if (settings.live) followRun(settings.live);
}

function prepareForm() {
  form.hidden = false;
  readHash();
  document.addEventListener("input", event => { if (event.target.form === form) { rowsShown = FIRST_ROWS; update(); } });
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    form.elements.t.value = form.elements.sort.value = "";  // a reset leaves hidden controls as they are
    update();
  }));
  addEventListener("hashchange", () => {
    const hash = location.hash;  // which the reset empties
    if (hash.includes("=")) { form.reset(); setTimeout(() => { readHash(hash); update(); }); }
  });
  const pick = () => form.querySelector(".pick");  // it closes as menus do
  document.addEventListener("click", event => { if (pick() && !pick().contains(event.target)) pick().open = false; });
  document.addEventListener("keydown", event => {
    if (event.key !== "Escape") return;
    if (pick()?.open) pick().open = false;
    else if (now.state.trial >= 0) select(-1);
  });
  document.addEventListener("click", event => { if (event.target.closest("a[href^='#']")) follow(event); });
}

// Goes to a section, opening it, without losing the state in the hash.
function follow(event) {
  event.preventDefault();
  const target = document.querySelector(event.target.closest("a").getAttribute("href"));
  const folded = target?.querySelector(":scope > details");
  if (folded) folded.open = true;
  target?.scrollIntoView();
}

start().catch(error => {
  console.error(error);
  const why = settings.plotly ? "plotly.js could not be fetched." : "This browser cannot unpack the charts; a newer one can.";
  elements.forEach(element => { element.classList.add("failed"); element.textContent = why; });
});
