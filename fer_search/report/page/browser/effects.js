// What each value adds, of any trials: additive.py and effects.py again, in the reader's browser, because what the filter
// lets through is known only there. The same model, intervals, p-values and verdicts, which are explained there.
const RIDGE = 1e-9, MIN_RESIDUAL_DOF = 8, MIN_DISTINCT_FOR_QUADRATIC = 8, MAX_LISTED_VALUES = 8, LITTLE_ADDED = 0.01;  // as there, and in choices.py

// One choice in the model: {choice, levels, log, columns, active, given, basis}; null where it had one value.
function termOf(choice, trials) {
  const raw = trials.map(trial => table.given[choice.name][trial]), found = [...new Set(raw)].filter(value => value !== null);
  const numeric = found.every(value => typeof value === "number");
  if (found.length < 2) return null;
  const scale = numeric && !choice.values.length && (["Int", "Float"].includes(choice.kind) || found.length > MAX_LISTED_VALUES);
  const log = scale && choice.log && found.every(value => value > 0);
  const place = value => choice.values.indexOf(value) < 0 ? choice.values.length : choice.values.indexOf(value);
  const levels = scale ? [] : numeric ? found.sort((a, b) => a - b)
    : found.sort((a, b) => place(a) - place(b) || (String(a) < String(b) ? -1 : 1));
  const at = new Map(levels.map((value, k) => [value, k]));
  const given = raw.map(value => value === null ? NaN : scale ? (log ? Math.log10(value) : value) : at.get(value));
  const active = given.filter(one => !Number.isNaN(one)), mean = active.reduce((a, b) => a + b, 0) / active.length;
  if (scale && active.length < 3) return null;
  const spread = Math.sqrt(active.reduce((sum, one) => sum + (one - mean) ** 2, 0) / active.length);
  const powers = found.length >= MIN_DISTINCT_FOR_QUADRATIC ? [1, 2] : [1];
  const plain = scale ? one => powers.map(power => ((one - mean) / spread) ** power)
    : one => levels.slice(1).map((_, k) => one === k + 1 ? 1 : 0);
  const sums = active.map(plain).reduce((sum, row) => sum.map((one, k) => one + row[k]));
  const centre = sums.map(sum => sum / active.length), basis = one => plain(one).map((value, k) => value - centre[k]);
  const columns = centre.map(() => new Float64Array(given.length));
  given.forEach((one, row) => Number.isNaN(one) || basis(one).forEach((value, k) => { columns[k][row] = value; }));
  return { choice, levels, log, columns, active, given, basis };
}

// Least squares of responses (a list of columns) on terms; null where too few trials are left over.
function fitOf(terms, responses) {
  const n = responses[0].length, x = [new Float64Array(n).fill(1), ...terms.flatMap(term => term.columns)];
  const residualDof = n - x.length, slices = [];
  if (residualDof < 1) return null;
  for (const term of terms) slices.push([slices.at(-1)?.[1] ?? 1, (slices.at(-1)?.[1] ?? 1) + term.columns.length]);
  const gram = x.map(a => x.map(b => inner(a, b))), inverse = inverseOf(gram, RIDGE);
  const coefficients = responses.map(y => product(inverse, x.map(column => inner(column, y))));
  const left = responses.map((y, k) => {
    const over = Float64Array.from(y);
    x.forEach((column, j) => { for (let row = 0; row < n; row++) over[row] -= column[row] * coefficients[k][j]; });
    return over;
  });
  const variance = left.map(over => inner(over, over) / residualDof);
  return { terms, slices, x, responses, gram, inverse, coefficients, left, variance, residualDof, n };
}

// For each choice that can be judged, the fit that holds it and its place there: one fit of all, or else one for each.
function fitsOf(choices, trials, responses) {
  const terms = choices.map(choice => termOf(choice, trials)).filter(Boolean);
  const size = 1 + terms.reduce((sum, term) => sum + term.columns.length, 0);
  const together = trials.length - size >= Math.max(MIN_RESIDUAL_DOF, Math.floor(size / 2)) && fitOf(terms, responses);
  if (together) return terms.map((_, at) => ({ fit: together, at }));
  return terms.map(term => ({ fit: fitOf([term], responses), at: 0 })).filter(({ fit }) => fit && fit.residualDof >= 3);
}

// What each value adds: {choice, label, value, against, response, difference, low, high, p, sure, alone, verdict}.
function effectsOf(fits, names) {
  const rows = fits.flatMap(({ fit, at }) => comparisons(fit.terms[at]).flatMap(({ high, low, ...about }) => {
    const term = fit.terms[at], [start, end] = fit.slices[at], upper = term.basis(high), lower = term.basis(low);
    const step = upper.map((one, k) => one - lower[k]), quantile975 = student(fit.residualDof);
    const own = fit.inverse.slice(start, end).map(row => row.slice(start, end));
    return names.map((response, k) => {
      const difference = inner(step, fit.coefficients[k].slice(start, end));
      const error = Math.sqrt(Math.max(inner(step, product(own, step)), 0) * fit.variance[k]), half = quantile975 * error;
      const p = error > 0 ? beyondT(difference / error, fit.residualDof) : 1;
      return { ...about, response, difference, low: difference - half, high: difference + half, p, alone: fit.terms.length === 1 };
    });
  }));
  for (const family of [rows.filter(row => row.response === "accuracy"), rows.filter(row => row.response !== "accuracy")])
    holm(family.map(row => row.single ? 1 : row.p)).forEach((p, k) => { family[k].sure = p < 0.05; family[k].verdict = verdictOf(family[k]); });
  return rows;
}

function comparisons({ choice, levels, log, active }) {
  const about = { choice: choice.name, label: choice.label };
  if (levels.length) {
    const first = levels.indexOf(choice.values.find(value => levels.includes(value)) ?? levels[0]), against = say(levels[first]);
    const single = level => active.filter(one => one === level).length < 2;
    return levels.map((value, high) => ({ ...about, value: say(value), against, high, low: first, single: single(high) || single(first) }))
      .filter(one => one.high !== first);
  }
  const sorted = [...active].sort((a, b) => a - b), [low, high] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const [against, value] = [low, high].map(one => log ? 10 ** one : one).map(one => general(one, Math.abs(one) < 10 ? 2 : 3));
  return [{ ...about, value, against, high, low }];
}

function verdictOf({ single, sure, difference, low, high }) {
  if (single) return "one trial cannot tell";
  const way = difference > 0 ? "better" : "worse";
  if (sure) return way;
  if (low > 0 || high < 0) return `${way} perhaps, or luck among so many comparisons`;
  return Math.max(-low, high) < LITTLE_ADDED ? "no difference of a point or more" : "too few trials to tell";
}
