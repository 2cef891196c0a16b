"use strict";
// Without these scripts the page lacks only its charts and filters. This file: the page's data (the table of designs and
// the figures, unpacked) and the reader's choices (the filter form, kept in the URL's hash).
const settings = JSON.parse(document.getElementById("settings").textContent);
let form = document.getElementById("filters");
const night = matchMedia("(prefers-color-scheme: dark)");
const SCALE = 10000;  // accuracies are integers in units of 0.01 points; -1 where unknown
let table = {}, charts = {};

async function unpack(id, root = document) {
  const packed = Uint8Array.from(atob(root.getElementById(id).textContent), letter => letter.charCodeAt(0));
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

// The reader's choices: {budget, top, status, tag, colour, picked: choice -> set of places, words, trial (a row), sort}.
function chosen() {
  const given = new FormData(form || document.createElement("form")), picked = new Map();
  for (const [name, value] of given)
    if (/^c\d+$/.test(name)) picked.set(+name.slice(1), (picked.get(+name.slice(1)) || new Set()).add(+value));
  const trial = table.rows[given.get("t")] ?? -1;
  return {
    budget: given.get("b") || Object.keys(table.accuracy).at(-1), top: +(given.get("top") || 100),
    status: given.get("s") || "", tag: given.get("tag") || "", colour: given.get("colour") || "", picked, x: +given.get("x"), y: +given.get("y"),
    words: (given.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean), sort: given.get("sort") || "", trial,
  };
}

function initial(control) {
  if (control.type === "checkbox") return false;
  if (control.tagName === "SELECT") return [...control.options].findIndex(option => option.defaultSelected);
  return "";
}

function writeHash() {
  const kept = [...form.elements].filter(one => one.name && (one.type === "checkbox" ? one.checked
    : one.tagName === "SELECT" ? one.selectedIndex !== initial(one) : one.value));
  const hash = new URLSearchParams(kept.map(one => [one.name, one.value])).toString();
  history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
}

function readHash(hash = location.hash) {
  if (!hash.includes("=")) return;  // the name of a section
  for (const [name, value] of new URLSearchParams(hash.slice(1)))
    for (const one of form.elements)
      if (one.name === name) {
        if (one.type === "checkbox") one.checked ||= one.value === value;
        else if (one.tagName !== "SELECT" || [...one.options].some(option => option.value === value)) one.value = value;
      }
}

// The designs that pass the filter: "listed" in the ranking, "shown" in charts at the budget, best first, of "all" with a
// result there.
function filtered(state) {
  const accuracy = table.accuracy[state.budget] || table.accuracy.any, rows = [...table.trial.keys()];
  const through = row => (!state.status || table.status[row] === state.status) && (!state.tag || table.tags[row].includes(state.tag))
    && [...state.picked].every(([choice, places]) => places.has(table.choices[choice].place[row]));
  const listed = rows.filter(through), all = accuracy.filter(one => one >= 0).length;
  const known = listed.filter(row => accuracy[row] >= 0).sort((a, b) => accuracy[b] - accuracy[a] || a - b);
  const shown = known.slice(0, Math.ceil(known.length * state.top / 100));
  const among = new Set(shown);
  return { accuracy, all, shown, among, listed: state.top < 100 ? listed.filter(row => among.has(row)) : listed };
}

const escaped = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const percent = fraction => Number.isFinite(fraction) ? (100 * fraction).toFixed(1) + "%" : "–";
const cut = (text, length) => text.length > length ? text.slice(0, length - 1) + "…" : text;

function describe(row, accuracy) {
  const lines = table.choices.filter(choice => table.given[choice.name][row] !== null)
    .map(choice => escaped(cut(`${choice.label} ${shownValue(table.given[choice.name][row])}`, 68)));
  const rest = lines.length > 14 ? [...lines.slice(0, 13), `and ${lines.length - 13} more`] : lines;
  const title = table.title[row][0].toUpperCase() + table.title[row].slice(1);
  return [`<b>${escaped(cut(title, 68))}</b>`, `accuracy ${percent(accuracy / SCALE)}`, ...rest].join("<br>");
}

function shownValue(value) {
  if (value === true) return "yes";
  if (value === false) return "no";
  return typeof value === "number" && !Number.isInteger(value) ? general(value, 4) : String(value);
}

function general(number, digits) {  // 0.00032, 1e-5, 12: as formatting.py does
  const [digit, exponent] = number.toExponential(digits - 1).split("e");
  return exponent < -4 || exponent >= digits ? `${+digit}e${+exponent}` : String(+number.toPrecision(digits));
}

// The 97.5% quantile of Student's t: half of a 95% interval, in standard errors. Cornish and Fisher's expansion (Abramowitz
// & Stegun 26.7.5) from five degrees of freedom on, exact values below; to three digits.
function student(dof) {
  if (dof < 5) return [NaN, 12.706, 4.3027, 3.1824, 2.7764][dof];
  const z = 1.959963985, v = dof;
  return z + (z ** 3 + z) / (4 * v) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * v ** 2)
    + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * v ** 3);
}
