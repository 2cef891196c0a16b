// The page as a whole: one change of the form, one update of everything.
function select(row) {
  form.elements.t.value = row < 0 ? "" : table.trial[row];
  update();
}

function update() {
  const state = chosen();
  now = { state, ...filtered(state), version: (now?.version ?? 0) + 1 };
  for (const part of document.querySelectorAll("[data-budget]"))
    if (!(part.hidden = part.dataset.budget !== state.budget && !(state.budget === "any" && part.dataset.budget === settings.budget)))
      showWords(part);
  if (form) {
    writeHash();
    const count = now.shown.length === table.trial.length ? "" : ` of ${table.trial.length.toLocaleString("en")}`;
    document.getElementById("count").textContent = `${now.shown.length.toLocaleString("en")}${count} trials`;
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

// While a run goes on: load the page again every so often, at the same place, unless it is being used.
function watch(seconds) {
  const tall = document.querySelector(".tall"), place = JSON.parse(sessionStorage.getItem("place") || "null");
  if (place) { scrollTo(0, place[0]); tall?.scrollTo(0, place[1]); }
  let used = 0;
  for (const name of ["pointerdown", "keydown", "wheel"]) addEventListener(name, () => { used = Date.now(); });
  setInterval(() => {
    if (document.hidden || Date.now() - used < 3000) return;
    sessionStorage.setItem("place", JSON.stringify([scrollY, tall?.scrollTop || 0]));
    location.reload();
  }, 1000 * seconds);
}

async function start() {
  const content = JSON.parse(await unpack("content-gzip"));
  table = content.table;
  charts = content.charts;
  if (!table.trial) table = { trial: [], accuracy: { any: [] }, choices: [], columns: [], curves: {}, recalls: {} };  // of several runs
  settings.budget = document.querySelector("[data-budget]:not([hidden])")?.dataset.budget;
  prepareRanking();
  if (form) {
    form.hidden = false;
    readHash();
    document.addEventListener("input", event => { if (event.target.form === form) { rowsShown = MOST_ROWS; update(); } });
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      form.elements.t.value = form.elements.sort.value = "";  // a reset leaves hidden controls as they are
      update();
    }));
    addEventListener("hashchange", () => {
      const hash = location.hash;  // which the reset empties
      if (hash.includes("=")) { form.reset(); setTimeout(() => { readHash(hash); update(); }); }
    });
    const pick = form.querySelector(".pick");  // it closes as menus do
    document.addEventListener("click", event => { if (pick && !pick.contains(event.target)) pick.open = false; });
    document.addEventListener("keydown", event => { if (pick && event.key === "Escape") pick.open = false; });
    for (const link of document.querySelectorAll("a[href^='#']")) link.addEventListener("click", follow);
    document.addEventListener("click", event => { if (event.target.closest("#selected a")) follow(event); });
  }
  update();
  if (elements.length) await loadPlotly().then(drawCharts);
  if (settings.watch) watch(settings.watch);
}

function follow(event) {  // to a section, without losing the state in the hash
  event.preventDefault();
  document.querySelector(event.target.getAttribute("href"))?.scrollIntoView();
}

start().catch(error => {
  console.error(error);
  const why = settings.plotly ? "plotly.js could not be fetched." : "This browser cannot unpack the charts; a newer one can.";
  elements.forEach(element => { element.classList.add("failed"); element.textContent = why; });
});
