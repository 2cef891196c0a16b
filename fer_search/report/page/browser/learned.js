// What was learned from the trials (effects, emotions, importances), of those that the filter lets through. Of all trials
// the figures are Python's; where something is left out, they are made again here, and so are the words around them.
Object.assign(roles, { effects, emotions, zone, importances });
const MOST_KEPT = 30, CAUTION = "A selection by accuracy: effects among the best trials are smaller than among all.";
const kept = new Map();  // what was worked out for a filter: colour or selection change nothing in it

// What the filter lets through at a budget (a part of the page may be of another one than the reader's, who chose "any").
function passing(budget) {
  const { top, status, picked } = now.state, ticked = [...picked].map(([choice, places]) => [choice, ...places]);
  const key = JSON.stringify([budget, top, status, ticked]);
  if (!kept.has(key)) {
    if (kept.size >= MOST_KEPT) kept.clear();
    const { accuracy, shown, all } = budget === now.state.budget ? now : filtered({ ...now.state, budget });
    kept.set(key, { budget, accuracy, shown, all, partial: shown.length < all });
  }
  return kept.get(key);
}

function learnedFrom(found) {
  if (found.effects) return found;
  const { budget, accuracy, shown } = found, recalls = table.recalls[budget] || {};
  const names = Object.keys(recalls).filter(name => shown.every(trial => recalls[name][trial] >= 0));
  const responses = [accuracy, ...names.map(name => recalls[name])].map(one => Float64Array.from(shown, trial => one[trial] / SCALE));
  found.fits = shown.length ? fitsOf(table.choices, shown, responses) : [];
  found.effects = effectsOf(found.fits, ["accuracy", ...names]);
  found.importances = importancesOf(found.fits);
  found.pairs = pairsOf(found.fits, shown);
  return found;
}

// The words of a part, of all trials (Python's) or of those that pass: which of the two stand there, and the latter.
function showWords(part) {
  const { partial } = passing(part.dataset.budget);
  for (const one of part.querySelectorAll(".of-all")) one.hidden = partial;
  for (const one of part.querySelectorAll(".of-shown")) { one.hidden = !partial; one.textContent = ""; }
}

function tell(part, name, ...sentences) {
  part.querySelector(`.of-shown[data-words="${name}"]`).textContent = sentences.filter(Boolean).join(" ");
}

// In Python's table of the strongest pairs, these.
function tellPairs(part, pairs) {
  const place = part.querySelector('.of-shown[data-words="pairs"]'), folded = part.querySelector(".of-all details");
  if (!place || !folded || !pairs.length) return;
  const said = line("p", pairsInWords(pairs)), copy = folded.cloneNode(true), [row] = copy.querySelector("tbody").rows;
  copy.querySelector("tbody").replaceChildren(...pairs.slice(0, MOST_PAIRS).map(({ choice, other, share, p, verdict }) => {
    const one = row.cloneNode(true);
    [choice, other, `${(100 * share).toFixed(0)}%`, general(p, 2), verdict].forEach((text, k) => { one.cells[k].textContent = text; });
    return one;
  }));
  place.replaceChildren(said, copy);
}

const ofWhich = ({ shown, all }) => `${shown.length.toLocaleString("en")} of ${counted(all)}`;
const inPoints = share => { const text = (100 * share).toFixed(1); return (text.startsWith("-") && +text ? "\u2212" : "+") + text.replace("-", ""); };

// The figure's captions, and its layout where there is nothing to draw.
function caption(view, found, empty) {
  view.of = `${ofWhich(found)}${found.budget === "any" ? "" : ` ${budgetWords(found.budget)}`}, filtered`;
  if (!empty) return;
  const said = { showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 };
  said.text = "Too few of these trials, or too much alike,<br>to say anything.";
  const axis = { visible: false, range: [0, 1] };
  Object.assign(view.layout, { annotations: [said], shapes: [], xaxis: axis, yaxis: axis, height: 120 });
}

const nameOf = row => `${escaped(cut(`${row.label}: ${row.value}`, 30))}<br>`
  + `<span style='font-size:11px'>instead of ${escaped(cut(row.against, 20))}</span>`;
const inWords = row => escaped(`${row.label} ${row.value} instead of ${row.against}: ${inPoints(row.difference)} points, 95% `
  + `${inPoints(row.low)} to ${inPoints(row.high)}: ${row.verdict}`);

function effects(trace, view) {
  const found = passing(view.budget);
  if (!found.partial) return [trace];
  const rows = learnedFrom(found).effects.filter(row => row.response === "accuracy").reverse();
  const of = `the ${ofWhich(found)} that the filter lets through`, alone = rows.length > 1 && rows.every(row => row.alone);
  const how = alone ? ", each choice by itself because there are too few trials to take their effects apart"
    : " with the other choices being the same (least squares)";
  const said = `What a value adds${how}, with its 95% interval: ${rows.length} comparison${rows.length === 1 ? "" : "s"} over ${of}.`;
  tell(view.part, "effects", rows.length ? said : `Too few trials pass the filter to say what a value adds: ${ofWhich(found)}.`,
    now.state.top < 100 && CAUTION, "The tables, which are of all trials, are hidden.");
  caption(view, found, !rows.length);
  if (!rows.length) return [];
  view.layout.height = 100 + 44 * Math.max(rows.length, 2);
  view.layout.yaxis.range = [-0.5, rows.length - 0.3];
  const colours = rows.map(row => !row.sure ? settings.muted : row.difference > 0 ? settings.trial : settings.best);
  return [{
    ...trace, x: rows.map(row => 100 * row.difference), y: rows.map(nameOf), marker: { ...trace.marker, color: colours },
    error_x: { ...trace.error_x, array: rows.map(row => 50 * (row.high - row.low)) },
    text: rows.map(row => `<i>${row.verdict.split(",")[0]}</i>`), customdata: rows.map(inWords),
  }];
}

function emotions(trace, view) {
  const found = passing(view.budget);
  if (!found.partial) return [trace];
  const cells = learnedFrom(found).effects.filter(row => row.response !== "accuracy"), names = [...new Set(cells.map(row => row.response))];
  caption(view, found, !cells.length);
  if (!cells.length) return [];
  const starts = [...cells.keys()].filter(k => k % names.length === 0).reverse();  // of each comparison
  const lines = starts.map(k => cells.slice(k, k + names.length)), rows = lines.map(line => nameOf(line[0]));
  const most = Math.max(...cells.map(row => Math.abs(100 * row.difference))) || 1;
  view.layout.height = 90 + 38 * Math.max(rows.length, 2);
  return [{
    ...trace, x: names, y: rows, z: lines.map(line => line.map(row => 100 * row.difference)), zmin: -most, zmax: most,
    text: lines.map(line => line.map(row => inPoints(row.difference) + (row.sure ? "*" : ""))),
    customdata: lines.map(line => line.map(row => `${escaped(row.response)}: ${inWords(row)}`)),
  }];
}

// Behind the importances: what chance alone may reach.
function zone(trace, view) {
  const found = passing(view.budget);
  if (!found.partial) return [trace];
  const rows = [...learnedFrom(found).importances].reverse();
  return rows.length ? [{ ...trace, x: rows.map(row => row.chance), y: rows.map(row => escaped(cut(row.label, 24))) }] : [];
}

function importances(trace, view) {
  const found = passing(view.budget);
  if (!found.partial) return [trace];
  const table = learnedFrom(found).importances, rows = [...table].reverse(), left = 1 - table.reduce((sum, row) => sum + row.share, 0);
  const whole = share => `${(100 * share).toFixed(0)}%`, known = left > 0 && table.some(row => row.verdict === "matters");
  tell(view.part, "conclusion", conclusionOf(table));
  tell(view.part, "importances", known && `The rest, ${whole(left)}, is seeds, noise and choices acting together.`,
    `These are the ${ofWhich(found)} that the filter lets through.`, now.state.top < 100 && CAUTION);
  tellPairs(view.part, learnedFrom(found).pairs);
  caption(view, found, !rows.length);
  if (!rows.length) return [];
  view.layout.height = 90 + 28 * Math.max(rows.length, 2);
  const colours = rows.map(row => row.verdict === "matters" ? settings.trial : settings.muted);
  if (rows.at(-1).verdict === "matters") colours[rows.length - 1] = settings.best;
  return [{
    ...trace, x: rows.map(row => row.share), y: rows.map(row => escaped(cut(row.label, 24))),
    error_x: { ...trace.error_x, array: rows.map(row => row.high - row.share), arrayminus: rows.map(row => row.share - row.low) },
    marker: { ...trace.marker, color: colours, symbol: rows.map(row => row.verdict === "matters" ? "circle" : "circle-open") },
    text: rows.map(row => `<b>${escaped(row.label)}</b><br>${whole(row.share)} of the variance, 95% ${whole(row.low)} to ${whole(row.high)}`
      + `<br>${row.verdict}: noise alone may reach ${whole(row.chance)}; first in ${whole(row.first)} of the draws`),
  }];
}
