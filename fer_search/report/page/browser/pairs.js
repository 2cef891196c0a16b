// What each two choices explain together beyond what each explains alone, of any trials: importance.py's pairs again, of
// fits from effects.js. The strongest first: {choice, other, share, p, verdict}, the choices by their labels.
const MOST_PAIRS = 6, MOST_RANGES = 3;  // as in sections/importance.py, and there

function pairsOf(fits, trials) {
  if (fits.length < 2 || fits[0].fit.terms.length !== fits.length) return [];
  const { terms, left: [left], responses: [y], variance: [variance], residualDof, n } = fits[0].fit, mean = y.reduce((a, b) => a + b) / n;
  const total = y.reduce((sum, one) => sum + (one - mean) ** 2, 0) + variance, places = terms.map(term => placesOf(term, trials));
  const pairs = terms.flatMap((a, i) => terms.slice(i + 1).map((b, j) => {
    const { squares, dof } = explainedByCells(left, places[i], places[i + 1 + j]), rest = residualDof - dof;
    const noise = (variance * residualDof - squares) / rest, share = Math.max(0, (squares - dof * noise) / total);
    const p = noise > 0 ? beyondF(squares / dof / noise, dof, rest) : 1;
    return { choice: a.choice.label, other: b.choice.label, share, dof, rest, p };
  })).filter(pair => pair.dof >= 1 && pair.rest >= 3);
  const p = holm(pairs.map(pair => pair.p));
  return pairs.map((pair, k) => ({ ...pair, p: p[k], verdict: p[k] < 0.05 ? "matters" : "inconclusive" }))
    .sort((a, b) => a.p - b.p || b.share - a.share);
}

// Each trial's place among a choice's values, or up to three equally full ranges of its numbers; -1 where it was not active.
function placesOf({ choice, levels, given }, trials) {
  if (levels.length) return given.map(one => Number.isNaN(one) ? -1 : one);
  const raw = trials.map(trial => table.given[choice.name][trial]), known = raw.filter(one => one !== null).sort((a, b) => a - b);
  const ranges = Math.max(1, Math.min(MOST_RANGES, Math.floor(known.length / 3)));
  const edges = [...new Set(Array.from({ length: ranges + 1 }, (_, k) => quantile(known, k / ranges)))].slice(1, -1);
  return raw.map(one => one === null ? -1 : edges.filter(edge => edge <= one).length);
}

// The squares that the cells' means explain of what the model leaves over, and the degrees of dof beyond the margins'.
function explainedByCells(left, first, second) {
  const cells = new Map(), ends = [new Set(), new Set()];
  first.forEach((a, row) => {
    const b = second[row];
    if (a < 0 || b < 0) return;
    const cell = cells.get(1000 * a + b) || [0, 0];
    cells.set(1000 * a + b, [cell[0] + 1, cell[1] + left[row]]);
    ends[0].add(a);
    ends[1].add(b);
  });
  const squares = [...cells.values()].reduce((all, [count, sum]) => all + sum * sum / count, 0);
  return { squares, dof: cells.size ? cells.size - ends[0].size - ends[1].size + 1 : 0 };
}

function pairsInWords(pairs) {
  const sure = pairs.filter(pair => pair.verdict === "matters").slice(0, MOST_PAIRS).map(pair => `${pair.choice} with ${pair.other}`);
  return sure.length ? `Beyond what each adds alone, these pairs matter: ${sure.join("; ")}.`
    : "No pair of choices adds anything that stands out beyond what each adds alone.";
}
