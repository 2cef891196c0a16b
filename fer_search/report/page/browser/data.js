"use strict";
// The page is whole without these scripts, its charts and filters excepted. In this file: what the page knows (the run's
// table and the figures, unpacked) and what the reader chose (the filter form, which lives in the URL's hash).
const settings = JSON.parse(document.getElementById("settings").textContent);
const form = document.getElementById("filters");
const night = matchMedia("(prefers-color-scheme: dark)");
const SCALE = 10000;  // accuracies are whole numbers of a hundredth of a point; -1 for none
let table = {}, charts = {};

async function unpack(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function loadPlotly() {
  const script = document.createElement("script");
  if (settings.plotly) {
    script.src = settings.plotly;
    document.head.append(script);
    return new Promise((done, failed) => { script.onload = done; script.onerror = failed; });
  }
  script.textContent = await unpack("plotly-gzip");
  document.head.append(script);
}

// What the reader chose: {budget, top, status, colour, picked: choice -> set of places, words, trial, sort}
function chosen() {
  const given = new FormData(form || document.createElement("form")), picked = new Map();
  for (const [name, value] of given)
    if (/^c\d+$/.test(name)) picked.set(+name.slice(1), (picked.get(+name.slice(1)) || new Set()).add(+value));
  const trial = table.trial.indexOf(given.get("t"));
  return {
    budget: given.get("b") || Object.keys(table.accuracy).at(-1), top: +(given.get("top") || 100),
    status: given.get("s") || "", colour: given.get("colour") || "", picked, x: +given.get("x"), y: +given.get("y"),
    words: (given.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean), sort: given.get("sort") || "", trial,
  };
}

function standard(control) {
  if (control.type === "checkbox") return false;
  if (control.tagName === "SELECT") return [...control.options].findIndex(option => option.defaultSelected);
  return "";
}

function writeHash() {
  const kept = [...form.elements].filter(one => one.name && (one.type === "checkbox" ? one.checked
    : one.tagName === "SELECT" ? one.selectedIndex !== standard(one) : one.value));
  const hash = new URLSearchParams(kept.map(one => [one.name, one.value])).toString();
  history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
}

function readHash(hash = location.hash) {
  if (!hash.includes("=")) return;  // a section's name
  for (const [name, value] of new URLSearchParams(hash.slice(1)))
    for (const one of form.elements)
      if (one.name === name) {
        if (one.type === "checkbox") one.checked ||= one.value === value;
        else if (one.tagName !== "SELECT" || [...one.options].some(option => option.value === value)) one.value = value;
      }
}

// Which trials the choices let through: "listed" for the ranking, "shown" for charts at the budget, best first, of "all"
// that have a result there.
function filtered(state) {
  const accuracy = table.accuracy[state.budget] || table.accuracy.any, rows = [...table.trial.keys()];
  const through = row => (!state.status || table.status[row] === state.status)
    && [...state.picked].every(([choice, places]) => places.has(table.choices[choice].place[row]));
  const listed = rows.filter(through), all = accuracy.filter(one => one >= 0).length;
  const known = listed.filter(row => accuracy[row] >= 0).sort((a, b) => accuracy[b] - accuracy[a] || a - b);
  const shown = known.slice(0, Math.ceil(known.length * state.top / 100));
  const among = new Set(shown);
  return { accuracy, all, shown, among, listed: state.top < 100 ? listed.filter(row => among.has(row)) : listed };
}

const escaped = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const percent = share => (100 * share).toFixed(1) + "%";
const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

function describe(row, accuracy) {
  const lines = table.choices.filter(choice => table.given[choice.name][row] !== null)
    .map(choice => escaped(cut(`${choice.label} ${say(table.given[choice.name][row])}`, 68)));
  const rest = lines.length > 14 ? [...lines.slice(0, 13), `and ${lines.length - 13} more`] : lines;
  const title = table.title[row][0].toUpperCase() + table.title[row].slice(1);
  return [`<b>${escaped(cut(title, 68))}</b>`, `accuracy ${percent(accuracy / SCALE)}`, ...rest].join("<br>");
}

function say(value) {
  if (value === true) return "yes";
  if (value === false) return "no";
  return typeof value === "number" && !Number.isInteger(value) ? general(value, 4) : String(value);
}

function general(number, digits) {  // 0.00032, 1e-5, 12: as words.py writes numbers
  const [digit, exponent] = number.toExponential(digits - 1).split("e");
  return exponent < -4 || exponent >= digits ? `${+digit}e${+exponent}` : String(+number.toPrecision(digits));
}
