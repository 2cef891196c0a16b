// How much of the differences each choice explains, of any trials: importance.py again, where estimate, tests and verdicts
// are explained. Of fits from effects.js.
const LITTLE_SHARE = 0.02, SURELY_FIRST = 0.9, MOST_SAMPLED = 2000, DRAWS = 400;  // as there
const FEWEST_DRAWS = 100, MOST_WORK = 8e7;  // multiplications of all draws: a fraction of a second

// The most important first: {choice, label, share, low, high, chance, p, first, verdict}.
function importancesOf(fits) {
  if (!fits.length) return [];
  const random = seeded(1), shared = fits[0].fit.terms.length === fits.length;
  const draws = shared ? bootstrap(fits[0].fit, random) : fits.flatMap(({ fit }) => bootstrap(fit, random));
  const count = Math.min(...draws.map(one => one.length)), first = draws.map(() => 0);
  for (let d = 0; d < count; d++) first[draws.reduce((best, one, k) => one[d] > draws[best][d] ? k : best, 0)]++;
  const tested = fits.map(({ fit, at }) => testOf(fit, at)), p = holm(tested.map(one => one.p));
  const alpha = 0.05 / Math.max(1, p.filter(one => one >= 0.05).length);
  return fits.map(({ fit, at }, k) => {
    const { choice: { name, label } } = fit.terms[at], share = Math.max(0, tested[k].share), chance = tested[k].chance(alpha);
    const drawn = Float64Array.from(draws[k], one => Math.min(1, Math.max(one, 0))).sort();
    const low = Math.min(quantile(drawn, 0.025), share), high = Math.max(quantile(drawn, 0.975), share);
    const verdict = p[k] < 0.05 ? "matters" : high < LITTLE_SHARE ? "little" : "inconclusive";
    return { choice: name, label, share, low, high, chance, p: p[k], first: first[k] / count, verdict };
  }).sort((a, b) => b.share - a.share || b.first - a.first);
}

// A term's share less what noise puts into it, the F test's p-value, and the share needed for one of alpha.
function testOf({ slices, gram, inverse, coefficients, variance, residualDof, n, responses }, at) {
  const [start, end] = slices[at], own = matrix => matrix.slice(start, end).map(row => row.slice(start, end));
  const b = coefficients[0].slice(start, end), here = own(gram), inside = own(inverse), y = responses[0], dof = end - start;
  const mean = y.reduce((a, c) => a + c, 0) / n, total = y.reduce((sum, one) => sum + (one - mean) ** 2, 0) * n / (n - 1);
  const noise = variance[0] * here.reduce((sum, row, k) => sum + inner(row, inside.map(other => other[k])), 0);
  const explained = inner(b, product(here, b)), squares = inner(b, product(inverseOf(inside, 0), b));
  const needed = alpha => whereChance(f => beyondF(f, dof, residualDof), alpha) * dof * variance[0];
  return {
    share: total > 0 ? (explained - noise) / total : 0,
    p: variance[0] > 0 ? beyondF(squares / dof / variance[0], dof, residualDof) : 0,
    chance: alpha => total > 0 && squares > 0 ? Math.min(1, Math.max(0, (explained / squares * needed(alpha) - noise) / total)) : 0,
  };
}

// Every choice's share in each draw of the Bayesian bootstrap: a list of draws a term. Of many trials every so many by
// rank, and fewer draws where a draw is much work.
function bootstrap({ x, slices, responses }, random) {
  const every = Math.max(1, Math.ceil(responses[0].length / MOST_SAMPLED)), size = x.length;
  const y = responses[0].filter((_, k) => k % every === 0), columns = x.map(column => column.filter((_, k) => k % every === 0));
  const n = y.length, weights = new Float64Array(n), weighted = new Float64Array(n), found = slices.map(() => []);
  const draws = Math.min(DRAWS, Math.max(FEWEST_DRAWS, Math.round(MOST_WORK / (n * size * size / 2))));
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += weights[k] = -Math.log(1 - random());
    for (let k = 0; k < n; k++) weights[k] *= n / sum;
    const gram = columns.map(() => new Float64Array(size)), moments = [];
    columns.forEach((column, i) => {
      for (let k = 0; k < n; k++) weighted[k] = weights[k] * column[k];
      for (let j = i; j < size; j++) gram[i][j] = gram[j][i] = inner(weighted, columns[j]);
      moments.push(inner(weighted, y));
    });
    const inverse = inverseOf(gram, RIDGE), b = product(inverse, moments), mean = inner(weights, y) / n;
    const squares = weights.reduce((all, weight, k) => all + weight * y[k] * y[k], 0);
    const total = Math.max(squares - n * mean * mean, 1e-300) / (n - 1);
    const noise = Math.max(squares - inner(b, moments), 0) / Math.max(n - size, 1);
    slices.forEach(([start, end], at) => {
      let explained = 0, chance = 0;
      for (let i = start; i < end; i++) for (let j = start; j < end; j++) {
        explained += b[i] * gram[i][j] * b[j] / n;
        chance += noise * gram[i][j] / n * inverse[j][i];
      }
      found[at].push((explained - 2 * chance) / total);  // twice, as importance.py says
    });
  }
  return found;
}

// In a sentence what the importances say.
function conclusionOf(found) {
  const matters = found.filter(one => one.verdict === "matters").map(one => one.label);
  if (!found.length) return "Too few trials of equal budget to say which choice matters.";
  if (!matters.length) return "Inconclusive: no choice's effect stands out from the noise yet.";
  const sure = found[0].verdict === "matters" && found[0].first >= SURELY_FIRST;
  if (!sure) return `These matter: ${matters.join(", ")}. Which of the choices matters most cannot be told yet.`;
  const rest = matters.length === 1 ? "; no other choice's effect stands out from the noise." : `; then ${matters.slice(1).join(", ")}.`;
  return `Most important: ${matters[0]}${rest}`;
}
