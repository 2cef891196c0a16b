// A page that a server keeps up to date (fer-search report --watch). It asks for news every few seconds, and changes in
// place: zoom, open details, the filter, the selection and the scroll position stay.
const news = { version: null };

function followRun(seconds) {
  const tick = async () => {
    try {
      const reply = await (await fetch("state")).json();
      showLive(reply.live);
      if (news.version !== null && reply.version !== news.version) await refresh();
      news.version = reply.version;
      if (reply.ended) return;
    } catch (error) {
      showLive('<p class="lost">No answer from fer-search report --watch; this is the last state that it sent.</p>');
    }
    setTimeout(tick, 1000 * seconds);
  };
  tick();
}

function showLive(html) {
  const place = document.getElementById("live");
  place.hidden = !html;
  morph(place, Object.assign(document.createElement("div"), { innerHTML: html }), true);
}

async function refresh() {
  const fresh = new DOMParser().parseFromString(await (await fetch("page")).text(), "text/html");
  await load(fresh);
  settings.majority = JSON.parse(fresh.getElementById("settings").textContent).majority;
  for (const name of ["header h1", "header > p", "nav", "main"]) {
    const [old, next] = [document.querySelector(name), fresh.querySelector(name)];
    if (old && next) morph(old, next);
  }
  form ??= adoptForm();
  if (form) form.hidden = false;
  adoptRanking();
  const known = new Set(elements);
  elements = [...document.querySelectorAll(".chart")];
  for (const gone of [...known].filter(one => !one.isConnected)) { near.delete(gone); watcher.unobserve(gone); if (window.Plotly) Plotly.purge(gone); }
  if (elements.length && !window.Plotly) await loadPlotly().then(drawCharts);
  else elements.filter(one => !known.has(one)).forEach(one => watcher.observe(one));
  for (const element of elements) delete element.dataset.of;
  update();
}

function adoptForm() {
  form = document.getElementById("filters");
  if (form) prepareForm();
  return form;
}

function adoptRanking() {
  const table = document.getElementById("trials");
  if (!table || table === ranked && table.querySelector("th button")) return;
  const first = !ranked;
  ranked = table;
  first ? prepareRanking() : prepareHead();
}

const READERS = ["open", "hidden", "checked", "selected"];  // attributes that the reader changes
const ownedByScript = node => node.id === "selected" || node.id === "more" || node.id === "trial-figure" || node.classList?.contains("filter");
const headings = table => [...table.querySelectorAll("thead th")].map(one => one.textContent).join("|");

// Makes a node like another one: changes texts and attributes, adds and removes children. Charts that are drawn, the
// ranking's rows, the reader's choices and open details are left alone.
function morph(old, next, all = false) {
  if (old.nodeType === Node.TEXT_NODE) { if (old.data !== next.data) old.data = next.data; return; }
  if (old.nodeType !== Node.ELEMENT_NODE) return;
  if (old.classList.contains("chart")) { old.style.height = next.style.height; return; }
  if (old.id === "trials") {
    if (headings(old) !== headings(next)) old.replaceWith(next);
    return;
  }
  if (!all) for (const { name, value } of next.attributes)
    if (!READERS.includes(name) && !(name === "value" && old.nodeName === "INPUT") && old.getAttribute(name) !== value) old.setAttribute(name, value);
  const kept = [...old.childNodes].filter(child => !ownedByScript(child));
  const coming = [...next.childNodes].filter(child => !ownedByScript(child));
  let after = null;
  for (const child of coming) {
    const match = kept.find(one => alike(one, child));
    if (match) {
      for (let skipped = kept.shift(); skipped !== match; skipped = kept.shift()) skipped.remove();
      morph(match, child);
      after = match.isConnected ? match : old.querySelector(`#${CSS.escape(child.id || "-")}`) ?? after;
    } else {
      const added = document.importNode(child, true);
      after ? after.after(added) : old.prepend(added);
      after = added;
    }
  }
  kept.forEach(child => child.remove());
}

// Whether a node is the same place of the page: by its id, the chart in it, its section or its summary.
function alike(a, b) {
  if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) return false;
  if (a.nodeType !== Node.ELEMENT_NODE) return true;
  const control = node => node.nodeName === "LABEL" && node.querySelector(":scope > select, :scope > input");
  const name = one => one.type === "checkbox" ? `${one.name}=${one.value}` : one.name;
  const key = node => control(node) ? name(control(node)) : node.id || node.dataset.key || node.querySelector(":scope > .chart")?.id || node.querySelector(":scope > summary > h2")?.id
    || (node.nodeName === "DETAILS" ? node.querySelector(":scope > summary")?.textContent.replace(/\d+/g, "") : "") || node.className;
  return key(a) === key(b);
}
