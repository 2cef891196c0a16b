// Distributions and linear algebra for effects.js; their numbers are scipy's and numpy's (tests/report/test_filtered.py).

// The gamma function's logarithm, x > 0.4: Lanczos 1964, g = 7, with the nine coefficients of Godfrey 2001.
const LANCZOS = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];

function logGamma(x) {
  const sum = LANCZOS.reduce((all, c, k) => all + (k ? c / (x - 1 + k) : c), 0), t = x + 6.5;
  return Math.log(2 * Math.PI) / 2 + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

// The regularised incomplete beta function I_x(a, b), y = 1 - x given beside x for its digits: the continued fraction of
// DLMF 8.17.22 (https://dlmf.nist.gov/8.17#v), evaluated as Lentz 1976 does.
function incompleteBeta(x, y, a, b) {
  if (!(x > 0)) return 0;
  if (!(y > 0)) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(y, x, b, a);
  let c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), fraction = d;
  for (let m = 1, step = 0; m < 10000 && Math.abs(step - 1) > 1e-15; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    step = 1;
    for (const term of [even, odd]) {
      d = 1 / (1 + term * d);
      c = 1 + term / c;
      step *= c * d;
    }
    fraction *= step;
  }
  return Math.exp(a * Math.log(x) + b * Math.log(y) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a * fraction;
}

// The chance of a value at least as far out: of Student's t on either side, and of F.
const beyondT = (t, dof) => incompleteBeta(dof / (dof + t * t), t * t / (dof + t * t), dof / 2, 0.5);
const beyondF = (f, a, b) => incompleteBeta(b / (b + a * f), a * f / (b + a * f), b / 2, a / 2);

// Where a falling chance is as large as given, by halving on a log scale.
function whereChance(beyond, chance) {
  let low = -40, high = 40;
  for (let k = 0; k < 70; k++) {
    const middle = (low + high) / 2;
    beyond(Math.exp(middle)) > chance ? low = middle : high = middle;
  }
  return Math.exp((low + high) / 2);
}

// The 97.5% quantile of Student's t: half of a 95% interval, in standard errors.
const student = dof => whereChance(t => beyondT(t, dof), 0.05);

// P-values corrected for their number (Holm 1979).
function holm(p) {
  const corrected = [], order = [...p.keys()].sort((a, b) => p[a] - p[b]);
  let most = 0;
  order.forEach((at, k) => { corrected[at] = Math.min(1, most = Math.max(most, p[at] * (p.length - k))); });
  return corrected;
}

// As numpy's, to the last digit: linear between the two nearest, from the nearer one.
function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at), [a, b] = [sorted[low], sorted[low + 1] ?? sorted[low]];
  return at - low < 0.5 ? a + (b - a) * (at - low) : b - (b - a) * (1 - (at - low));
}

// The inverse of a positive definite matrix, a list of rows, with a trace of ridge: Gauss and Jordan's elimination.
function inverseOf(matrix, ridge) {
  const size = matrix.length, more = ridge * matrix.reduce((sum, row, k) => sum + row[k], 0) / size;
  const work = matrix.map((row, i) => Float64Array.from({ length: 2 * size }, (_, j) =>
    j < size ? row[j] + (i === j ? more : 0) : j - size === i ? 1 : 0));
  for (let k = 0; k < size; k++) {
    const pivot = work[k][k];
    for (let j = k; j < 2 * size; j++) work[k][j] /= pivot;
    for (let i = 0; i < size; i++) {
      const factor = work[i][k];
      if (i !== k && factor !== 0) for (let j = k; j < 2 * size; j++) work[i][j] -= factor * work[k][j];
    }
  }
  return work.map(row => row.slice(size));
}

const product = (matrix, vector) => matrix.map(row => row.reduce((sum, one, k) => sum + one * vector[k], 0));

// Four sums at a time: one would wait for each addition before the next.
function inner(a, b) {
  let p = 0, q = 0, r = 0, s = 0, k = 0;
  for (const end = a.length - 3; k < end; k += 4) {
    p += a[k] * b[k];
    q += a[k + 1] * b[k + 1];
    r += a[k + 2] * b[k + 2];
    s += a[k + 3] * b[k + 3];
  }
  for (; k < a.length; k++) p += a[k] * b[k];
  return p + q + r + s;
}

// Numbers from 0 to 1, the same in every page: mulberry32 (Ettinger 2017, public domain).
function seeded(state) {
  return () => {
    state = state + 0x6D2B79F5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}
