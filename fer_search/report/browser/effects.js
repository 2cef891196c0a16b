// What each value adds and how much each choice matters, over the trials that the filter lets through: the additive model
// of additive.py, effects.py and importance.py once more. Nothing filtered: the figures are Python's.
const DRAWS = 200, MOST_WORK = 1e8;  // of the bootstrap: draws, and multiplications in all of them
const SPARE = 8, CURVED = 8, LITTLE_SHARE = 0.02, LITTLE_POINTS = 0.01, FIRST = 0.9;

const isFiltered = state => state.top < 100 || state.status !== "" || state.picked.size > 0;
const comparedAt = state => state.budget === "any" ? settings.budget : state.budget;

// A choice's columns, as additive.make_term; null where it has one value among these rows.
function makeTerm(choice, rows) {
  const active = rows.map(row => choice.place[row] >= 0);
  let given = rows.map(row => choice.place[row]), levels = null, size, middle = [0, 1];
  if (choice.scale) {
    given = rows.map((row, k) => active[k] ? (choice.scale === "log" ? Math.log10 : Number)(table.given[choice.name][row]) : NaN);
    const known = given.filter((_, k) => active[k]);
    if (known.length < 3 || Math.max(...known) === Math.min(...known)) return null;
    const mean = average(known);
    middle = [mean, Math.sqrt(average(known.map(one => (one - mean) ** 2)))];
    size = new Set(known).size >= CURVED ? 2 : 1;
  } else {
    levels = [...new Set(given.filter(place => place >= 0))].sort((a, b) => a - b);
    size = levels.length - 1;
    if (size < 1) return null;
  }
  const raw = value => levels ? levels.slice(1).map(level => +(value === level))
    : [(value - middle[0]) / middle[1], ((value - middle[0]) / middle[1]) ** 2].slice(0, size);
  const columns = given.map((value, k) => active[k] ? raw(value) : null), count = active.filter(Boolean).length;
  const centre = Array.from({ length: size }, (_, j) => columns.reduce((sum, one) => sum + (one ? one[j] : 0), 0) / count);
  const basis = value => raw(value).map((one, j) => one - centre[j]);
  return { choice, levels, size, basis, columns: given.map((value, k) => active[k] ? basis(value) : Array(size).fill(0)),
    given: given.filter((_, k) => active[k]) };
}

const average = values => values.reduce((a, b) => a + b, 0) / values.length;
const dot = (a, b) => a.reduce((sum, one, k) => sum + one * b[k], 0);

// The inverse of x'x with a trace of ridge, by Gauss and Jordan: it is positive definite, so no pivot is needed.
function inverted(gram) {
  const p = gram.length, ridge = 1e-9 * gram.reduce((sum, line, k) => sum + line[k], 0) / p;
  const left = gram.map((line, k) => line.map((one, j) => one + (k === j ? ridge : 0)));
  const right = gram.map((_, k) => Array.from({ length: p }, (_, j) => +(k === j)));
  for (let k = 0; k < p; k++) {
    const pivot = left[k][k];
    for (let j = 0; j < p; j++) { left[k][j] /= pivot; right[k][j] /= pivot; }
    for (let i = 0; i < p; i++) {
      const factor = left[i][k];
      if (i === k || factor === 0) continue;
      for (let j = 0; j < p; j++) { left[i][j] -= factor * left[k][j]; right[i][j] -= factor * right[k][j]; }
    }
  }
  return right;
}

// x'wx, for weights w or none.
function gramOf(x, weights) {
  const p = x[0].length, gram = Array.from({ length: p }, () => new Array(p).fill(0));
  x.forEach((line, row) => {
    for (let i = 0; i < p; i++) {
      const one = weights ? weights[row] * line[i] : line[i];
      if (one) for (let j = 0; j <= i; j++) gram[i][j] += one * line[j];
    }
  });
  for (let i = 0; i < p; i++) for (let j = 0; j < i; j++) gram[j][i] = gram[i][j];
  return gram;
}

function fitted(terms, ys) {
  const x = ys[0].map((_, row) => [1, ...terms.flatMap(term => term.columns[row])]), p = x[0].length, spare = x.length - p;
  if (spare < 1) return null;
  const inverse = inverted(gramOf(x)), starts = [];
  terms.reduce((start, term) => { starts.push(start); return start + term.size; }, 1);
  const coefficients = ys.map(y => {
    const moments = x[0].map((_, j) => x.reduce((sum, line, row) => sum + line[j] * y[row], 0));
    return inverse.map(line => dot(line, moments));
  });
  const variance = ys.map((y, k) => x.reduce((sum, line, row) => sum + (y[row] - dot(line, coefficients[k])) ** 2, 0) / spare);
  return { terms, starts, x, ys, inverse, coefficients, variance, spare };
}

// One fit of all choices where enough trials are left over, or else one for each: [fit, place of the choice in it].
function fits(rows, ys) {
  const terms = table.choices.map(choice => makeTerm(choice, rows)).filter(Boolean);
  const size = 1 + terms.reduce((sum, term) => sum + term.size, 0);
  if (terms.length && rows.length - size >= Math.max(SPARE, Math.floor(size / 2))) {
    const together = fitted(terms, ys);
    return terms.map((_, k) => [together, k]);
  }
  return terms.map(term => [rows.length ? fitted([term], ys) : null, 0]).filter(([fit]) => fit && fit.spare >= 3);
}

// The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22), Lentz's way.
function beta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
  const safe = value => Math.abs(value) < 1e-300 ? 1e-300 : value;
  let c = 1, d = 1 / safe(1 - (a + b) * x / (a + 1)), found = d;
  for (let m = 1; m < 500; m++)
    for (const term of [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 / safe(1 + term * d);
      c = safe(1 + term / c);
      found *= c * d;
      if (Math.abs(c * d - 1) < 1e-14) m = 500;
    }
  return Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) * found / a;
}

function logGamma(x) {  // Stirling's series (DLMF 5.11.1), from where it is exact
  let shift = 0;
  for (; x < 10; x++) shift += Math.log(x);
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5) - shift;
}

const pOfF = (f, d1, d2) => f > 0 ? beta(d2 / (d2 + d1 * f), d2 / 2, d1 / 2) : 1;

function quantileOfF(p, d1, d2) {  // where pOfF is p
  let low = 0, high = 1;
  while (pOfF(high, d1, d2) > p) high *= 2;
  for (let k = 0; k < 60; k++) pOfF((low + high) / 2, d1, d2) > p ? low = (low + high) / 2 : high = (low + high) / 2;
  return high;
}

function holm(ps) {
  const found = [];
  [...ps.keys()].sort((a, b) => ps[a] - ps[b])
    .reduce((most, at, k) => found[at] = Math.max(most, Math.min(1, (ps.length - k) * ps[at])), 0);
  return found;
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

// A number with two or three digits, as words.short: 0.00032, 1e-5, 12, 3.5.
function short(number) {
  const digits = Math.abs(number) < 10 ? 2 : 3, [front, power] = number.toExponential(digits - 1).split("e");
  return +power < -4 || +power >= digits ? `${+front}e${+power}` : String(+`${front}e${power}`);
}

// What is compared of a choice: each value with the first, of a number its upper quartile with its lower one.
function comparisons(term) {
  const { choice, levels, given } = term;
  if (!levels) {
    const sorted = [...given].sort((a, b) => a - b), [low, high] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
    const [against, value] = [low, high].map(one => short(choice.scale === "log" ? 10 ** one : one));
    return [{ choice, value, against, low, high }];
  }
  const first = choice.first.find(place => levels.includes(place)) ?? levels[0];
  return levels.filter(place => place !== first)
    .map(place => ({ choice, value: choice.groups[place], against: choice.groups[first], low: first, high: place }));
}

// The rows of effects.effects, of the first response or of the others.
function effectsOf(found, responses) {
  const rows = [];
  for (const [fit, at] of found)
    for (const about of comparisons(fit.terms[at])) {
      const { basis, size } = fit.terms[at], start = fit.starts[at], high = basis(about.high), low = basis(about.low);
      const weights = high.map((one, k) => one - low[k]), inside = fit.inverse.slice(start, start + size).map(line => line.slice(start, start + size));
      for (const k of responses) {
        const difference = dot(weights, fit.coefficients[k].slice(start, start + size));
        const error = Math.sqrt(Math.max(0, dot(weights, inside.map(line => dot(line, weights)))) * fit.variance[k]);
        const half = student(fit.spare) * error, p = error > 0 ? beta(fit.spare / (fit.spare + (difference / error) ** 2), fit.spare / 2, 0.5) : 1;
        rows.push({ ...about, response: k, difference, from: difference - half, to: difference + half, p, alone: fit.terms.length === 1 });
      }
    }
  holm(rows.map(row => row.p)).forEach((p, k) => { rows[k].sure = p < 0.05; rows[k].verdict = verdict(rows[k]); });
  return rows;
}

function verdict({ sure, difference, from, to }) {
  const side = difference > 0 ? "better" : "worse";
  if (sure) return side;
  if (from > 0 || to < 0) return `${side} perhaps, or luck among so many comparisons`;
  return Math.max(-from, to) < LITTLE_POINTS ? "no difference of a point or more" : "too few trials to tell";
}

// A term's share of the variance, less ``taken`` times what noise puts into it.
function shareOf(coefficients, gram, inverse, start, size, n, noise, total, taken) {
  let explained = 0, chance = 0;
  for (let i = start; i < start + size; i++)
    for (let j = start; j < start + size; j++) {
      explained += coefficients[i] * gram[i][j] * coefficients[j] / n;
      chance += gram[i][j] * inverse[j][i] / n;
    }
  return { explained, chance: noise * chance, share: total > 0 ? (explained - taken * noise * chance) / total : 0 };
}

// The Bayesian bootstrap of importance._bootstrap: the shares of a fit's terms in each draw.
function bootstrap(fit) {
  const p = fit.x[0].length, every = Math.max(1, Math.ceil(fit.x.length * p * p / 2 * DRAWS / MOST_WORK));
  const x = fit.x.filter((_, k) => k % every === 0), y = fit.ys[0].filter((_, k) => k % every === 0), n = x.length;
  let seed = 1;
  const uniform = () => {  // Mulberry32, so that a filter gives the same interval each time
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
  return Array.from({ length: DRAWS }, () => {
    let weights = x.map(() => -Math.log(1 - uniform()));
    const sum = weights.reduce((a, b) => a + b, 0);
    weights = weights.map(one => one * n / sum);
    const gram = gramOf(x, weights), inverse = inverted(gram), weighted = y.map((one, k) => weights[k] * one);
    const moments = x[0].map((_, j) => x.reduce((sum, line, k) => sum + line[j] * weighted[k], 0));
    const coefficients = inverse.map(line => dot(line, moments)), mean = average(weighted), squares = dot(weighted, y);
    const total = Math.max(squares - n * mean * mean, 1e-300) / (n - 1);
    const noise = Math.max(squares - dot(coefficients, moments), 0) / Math.max(n - p, 1);
    // chance is taken off twice, as in Python: once as in the estimate, once for what the bootstrap itself adds
    return fit.terms.map((term, k) => shareOf(coefficients, gram, inverse, fit.starts[k], term.size, n, noise, total, 2).share);
  });
}

// The rows of importance.importances, the most important first.
function importancesOf(found) {
  if (!found.length) return [];
  const together = found[0][0].terms.length === found.length;
  const each = together ? bootstrap(found[0][0]) : null, alone = together ? null : found.map(([fit]) => bootstrap(fit));
  const draws = Array.from({ length: DRAWS }, (_, k) => together ? each[k] : alone.map(one => one[k][0]));
  const rows = found.map(([fit, at], k) => {
    const { size, choice } = fit.terms[at], start = fit.starts[at], n = fit.x.length, y = fit.ys[0], mean = average(y);
    const total = y.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (n - 1), gram = fit.gram ??= gramOf(fit.x);
    const own = shareOf(fit.coefficients[0], gram, fit.inverse, start, size, n, fit.variance[0], total, 1);
    const inside = fit.inverse.slice(start, start + size).map(line => line.slice(start, start + size));
    const b = fit.coefficients[0].slice(start, start + size), squares = dot(b, inverted(inside).map(line => dot(line, b)));
    const drawn = draws.map(one => Math.max(0, one[k])).sort((a, b) => a - b), share = Math.max(0, own.share);
    return { choice, share, low: Math.min(share, quantile(drawn, 0.025)), high: Math.max(share, quantile(drawn, 0.975)),
      first: draws.filter(one => one.indexOf(Math.max(...one)) === k).length / DRAWS, own, squares, size, total, fit,
      p: fit.variance[0] > 0 ? pOfF(squares / size / fit.variance[0], size, fit.spare) : 0 };
  });
  holm(rows.map(row => row.p)).forEach((p, k) => { rows[k].p = p; });
  const alpha = 0.05 / Math.max(1, rows.filter(row => row.p >= 0.05).length);
  for (const row of rows) {
    const needed = quantileOfF(alpha, row.size, row.fit.spare) * row.size * row.fit.variance[0];
    row.chance = row.squares > 0 && row.total > 0 ? Math.min(1, Math.max(0, (row.own.explained / row.squares * needed - row.own.chance) / row.total)) : 0;
    row.verdict = row.p < 0.05 ? "matters" : row.high < LITTLE_SHARE ? "little" : "inconclusive";
  }
  return rows.sort((a, b) => b.share - a.share || b.first - a.first);
}

// importance.conclusion, in its words.
function conclusion(rows) {
  if (!rows.length) return "Too few trials of equal budget to say which choice matters.";
  const matters = rows.filter(row => row.verdict === "matters").map(row => row.choice.label);
  if (!matters.length) return "Inconclusive: no choice's effect stands out from the noise yet.";
  if (rows[0].verdict !== "matters" || rows[0].first < FIRST)
    return `These matter: ${matters.join(", ")}. Which of the choices matters most cannot be told yet.`;
  return matters.length === 1 ? `Most important: ${matters[0]}; no other choice's effect stands out from the noise.`
    : `Most important: ${matters[0]}; then ${matters.slice(1).join(", ")}.`;
}

// All of it for the trials that are shown, found when a chart first asks for it.
function judged(state) {
  if (now.judged?.version === now.version) return now.judged;
  const budget = comparedAt(state), { shown, accuracy } = filtered({ ...state, budget }), recalls = table.recalls[budget] || {};
  const ys = [accuracy, ...Object.values(recalls)].map(values => shown.map(row => values[row] / SCALE));
  const found = shown.length ? fits(shown, ys) : [];
  return now.judged = { version: now.version, count: shown.length, found, emotions: Object.keys(recalls),
    get effects() { return this.ofEffects ??= effectsOf(found, [0]); },
    get recalled() { return this.ofRecalls ??= effectsOf(found, this.emotions.map((_, k) => k + 1)); },
    get importances() { return this.ofImportances ??= importancesOf(found); } };
}

// Which trials a figure is of; and whether it is Python's.
function whole(view) {
  const { state } = view, budget = comparedAt(state), at = budget === "any" ? "" : ` ${budgetWords(budget)}`;
  const all = counted(table.accuracy[budget].filter(one => one >= 0).length);
  view.of = all + at;
  if (!isFiltered(state)) return true;
  const { count, found } = judged(state), alone = found.length > 1 && found[0][0].terms.length === 1 ? ", each choice by itself" : "";
  view.of = `${count.toLocaleString("en")} of ${all}${at}${found.length ? alone : ": too few to say"}`;
  return false;
}

const signed = share => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`.replace("−0.0", "+0.0");
const inWords = row => escaped(`${row.choice.label} ${row.value} instead of ${row.against}: ${signed(row.difference)} points, 95% ${signed(row.from)} to ${signed(row.to)}: ${row.verdict}`);
const comparison = row => `${escaped(cut(`${row.choice.label}: ${row.value}`, 30))}<br><span style='font-size:11px'>instead of ${escaped(cut(row.against, 20))}</span>`;

function adds(trace, view) {
  if (whole(view)) return [trace];
  const rows = [...judged(view.state).effects].reverse(), [better, worse, unsure] = trace.meta.colors;
  view.layout.yaxis.range = [-0.5, Math.max(rows.length, 1) - 0.3];
  return [{
    ...trace, x: rows.map(row => 100 * row.difference), y: rows.map(comparison), customdata: rows.map(inWords),
    error_x: { ...trace.error_x, array: rows.map(row => 50 * (row.to - row.from)) }, text: rows.map(row => `<i>${row.verdict.split(",")[0]}</i>`),
    marker: { ...trace.marker, color: rows.map(row => row.sure ? (row.difference > 0 ? better : worse) : unsure) },
  }];
}

function recalled(trace, view) {
  if (whole(view)) return [trace];
  const { recalled: rows, emotions } = judged(view.state), names = [...new Set(rows.map(comparison))].reverse();
  const cells = names.map(name => rows.filter(row => comparison(row) === name)), each = cell => cells.map(line => line.map(cell));
  const most = Math.max(...rows.map(row => Math.abs(100 * row.difference)), 0) || 1;
  return [{
    ...trace, x: emotions, y: names, z: each(row => 100 * row.difference), zmin: -most, zmax: most,
    text: each(row => signed(row.difference) + (row.sure ? "*" : "")),
    customdata: each(row => `${escaped(emotions[row.response - 1])}: ${inWords(row)}`),
  }];
}

function chance(trace, view) {
  if (whole(view)) return [trace];
  const rows = [...judged(view.state).importances].reverse();
  return [{ ...trace, x: rows.map(row => row.chance), y: rows.map(row => escaped(cut(row.choice.label, 24))) }];
}

function matters(trace, view) {
  if (whole(view)) return [trace];
  const found = judged(view.state).importances, rows = [...found].reverse(), [best, sure, unsure] = trace.meta.colors;
  view.headline = conclusion(found);
  const percents = share => `${Math.round(100 * share)}%`;
  return [{
    ...trace, x: rows.map(row => row.share), y: rows.map(row => escaped(cut(row.choice.label, 24))),
    error_x: { ...trace.error_x, array: rows.map(row => row.high - row.share), arrayminus: rows.map(row => row.share - row.low) },
    marker: { ...trace.marker, color: rows.map(row => row.verdict !== "matters" ? unsure : row === found[0] ? best : sure),
      symbol: rows.map(row => row.verdict === "matters" ? "circle" : "circle-open") },
    text: rows.map(row => `<b>${escaped(row.choice.label)}</b><br>${percents(row.share)} of the variance, 95% ${percents(row.low)} to ${percents(row.high)}`
      + `<br>${row.verdict}: noise alone may reach ${percents(row.chance)}; first in ${percents(row.first)} of the draws`),
  }];
}

Object.assign(roles, { adds, recalled, chance, matters });
