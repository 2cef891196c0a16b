// How each kind of trace (its meta.role, set by the figure) shows the reader's choices. Each function takes the trace as the
// figure made it and the view {state, accuracy, shown, among, listed, chart, layout}, and returns what to draw instead.
const MAX_DOTS = 400, MAX_LINES = 500, MAX_CURVES = 300;
const roles = { dots, trainings, star, means, front, best, flow, time, lines, cells, curves, running, curve, trial };
const RISING = ["#5a6fc0", "#2a9d9d", "#52b96a", "#b5c334", "#eab71a"];  // legible on light and dark

function colourOf(row, state, otherwise) {
  if (!state.colour) return otherwise;
  const choice = table.choices[state.colour], place = choice.place[row];
  if (place < 0) return settings.muted;
  if (!choice.ordered) return settings.palette[place % settings.palette.length];
  return RISING[Math.round(place / Math.max(1, choice.groups.length - 1) * (RISING.length - 1))];
}

// The dots of a trace that are shown, thinned evenly by rank where they are too many to draw.
function points(trace, view, thinned = true) {
  const y = view.accuracy, rows = trace.customdata;
  let kept = [...rows.keys()].filter(k => view.among.has(rows[k]) && y[rows[k]] >= 0);
  if (thinned) kept = thin(kept, k => y[rows[k]], k => rows[k] === view.state.trial);
  return kept.map(k => ({ row: rows[k], x: trace.x[k], y: y[rows[k]] }));
}

function thin(kept, value, keep) {
  if (kept.length <= MAX_DOTS) return kept;
  kept.sort((a, b) => value(b) - value(a));
  return kept.filter((k, rank) => rank % Math.ceil(kept.length / MAX_DOTS) === 0 || keep(k));
}

function dots(trace, view) {
  const found = points(trace, view);
  view.limits = limitsOf(view.shown.map(row => view.accuracy[row]));
  view.of = `${counted(points(trace, view, false).length)} ${budgetWords(view.state.budget)}`;
  return marked(trace, view, found);
}

// Dots that are single trainings, each with an accuracy of its own: the rungs of Hyperband, the search's progress.
function trainings(trace, view) {
  const listed = new Set(view.listed), rows = trace.customdata;
  const kept = [...rows.keys()].filter(k => listed.has(rows[k]));
  const found = thin([...kept], k => trace.y[k], k => rows[k] === view.state.trial)
    .map(k => ({ row: rows[k], x: trace.x[k], y: trace.y[k] * SCALE }));
  if (kept.length < rows.length) view.of = `${kept.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} trainings, filtered`;
  return marked(trace, view, found);
}

function marked(trace, view, found) {
  const ring = found.filter(one => one.row === view.state.trial);
  return [{
    ...trace, x: found.map(one => one.x), y: found.map(one => one.y / SCALE), customdata: found.map(one => one.row),
    text: found.map(one => describe(one.row, one.y)),
    marker: { ...trace.marker, color: found.map(one => colourOf(one.row, view.state, trace.marker.color)) },
  }, {
    type: "scatter", mode: "markers", hoverinfo: "skip", x: ring.map(one => one.x), y: ring.map(one => one.y / SCALE),
    marker: { symbol: "circle-open", size: 18, color: view.ink, opacity: 1, line: { width: 3 } },
  }];
}

// The limits of an accuracy axis for these values, with a margin.
function limitsOf(accuracies) {
  if (!accuracies.length) return [0, 1];
  const [high, low] = [Math.max, Math.min].map(end => accuracies.reduce((a, b) => end(a, b)) / SCALE), room = Math.max(0.08 * (high - low), 0.004);
  return [low - room, high + 1.3 * room];
}

const counted = n => `${n.toLocaleString("en")} design${n === 1 ? "" : "s"}`;
const budgetWords = budget => budget === "any" ? "at any epochs" :
  `at ${table.equal_time ? "the time of " : ""}${budget} epoch${budget === "1" ? "" : "s"}`;

function star(trace, view) {
  const source = view.chart.data.find(one => one.meta?.role === "dots");
  const best = points(source, view, false).filter(one => one.row === view.shown[0]);
  return [{ ...trace, x: best.map(one => one.x), y: best.map(one => one.y / SCALE) }];
}

function means(trace, view) {
  const choice = table.choices.find(one => one.name === trace.meta.choice);
  const groups = choice.groups.map(() => []);
  for (const row of view.shown) if (choice.place[row] >= 0) groups[choice.place[row]].push(view.accuracy[row] / SCALE);
  const found = groups.map(values => {
    const n = values.length, mean = values.reduce((a, b) => a + b, 0) / n;
    const spread = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1));
    return { n, mean, half: n > 2 ? student(n - 1) * spread / Math.sqrt(n) : NaN };
  });
  const full = found.map((one, k) => k).filter(k => found[k].n && trace.x[k] !== undefined);
  if (trace.meta.strips)
    view.layout.xaxis.ticktext = found.map((one, k) => `${escaped(cut(choice.groups[k], 18))}<br>n = ${one.n}`);
  return [{
    ...trace, x: full.map(k => trace.x[k]), y: full.map(k => found[k].mean),
    error_y: { ...trace.error_y, array: full.map(k => found[k].half || 0) },
    text: full.map(k => `<b>${escaped(choice.groups[k])}</b><br>mean of ${found[k].n} designs ${percent(found[k].mean)}`
      + (found[k].half ? `<br>95% interval ${percent(found[k].mean - found[k].half)} to ${percent(found[k].mean + found[k].half)}` : "")),
  }];
}

// The Pareto front of those shown.
function front(trace, view) {
  const source = view.chart.data.find(one => one.meta?.role === "dots");
  let best = -1;
  const found = points(source, view, false).sort((a, b) => a.x - b.x || b.y - a.y)
    .filter(one => one.y > best && (best = one.y));
  return [{ ...trace, x: found.map(one => one.x), y: found.map(one => one.y / SCALE) }];
}

// The best so far of the trainings shown.
function best(trace, view) {
  const source = view.chart.data.find(one => one.meta?.role === "trainings"), listed = new Set(view.listed);
  const kept = [...source.customdata.keys()].filter(k => listed.has(source.customdata[k])).sort((a, b) => source.x[a] - source.x[b]);
  let high = 0;
  return [{ ...trace, x: kept.map(k => source.x[k]), y: kept.map(k => (high = Math.max(high, source.y[k]))) }];
}

// From rung to rung, three points for each promotion (the last one a gap), where both designs are shown.
function flow(trace, view) {
  const listed = new Set(view.listed), keep = (_, k) => listed.has(trace.customdata[k - k % 3]) && listed.has(trace.customdata[k - k % 3 + 1]);
  return [{ ...trace, x: trace.x.filter(keep), y: trace.y.filter(keep) }];
}

// The training time of the listed designs: a trace for each position among a choice's values.
function time(trace, view) {
  if (view.listed.length === table.trial.length) return [trace];
  const seconds = table.columns.find(one => one.name === "seconds").values, spent = rows => rows.reduce((sum, row) => sum + (seconds[row] || 0), 0);
  const { place } = trace.meta, rows = view.listed.filter(row => seconds[row] !== null), all = spent(rows);
  const groups = table.choices.map(choice => rows.filter(row => choice.place[row] === place));
  const names = table.choices.map(choice => escaped(cut(choice.groups[place] ?? "", 28)));
  view.of = `${duration(all)} of training, ${rows.length.toLocaleString("en")} of ${counted(table.trial.length)}, filtered`;
  return [{
    ...trace, x: groups.map(group => spent(group) / (all || 1)), text: names,
    customdata: groups.map((group, k) => `${names[k]}: ${duration(spent(group))} in ${counted(group.length)}`),
  }];
}

function duration(seconds) {
  const [size, unit] = [[86400, "days"], [3600, "h"], [60, "min"]].find(([size]) => seconds >= 1.5 * size) || [];
  return size ? `${(seconds / size).toFixed(1)} ${unit}` : `${seconds.toFixed(0)} s`;
}

// Parallel coordinates: every design's line, read once from the figure, then put into the band of its rank.
function segments(chart) {
  if (chart.segments) return chart.segments;
  chart.segments = new Map();
  for (const trace of chart.data.filter(one => one.meta?.role === "lines"))
    for (let start = 0, k = 0; k < trace.y.length; k++)
      if (trace.x[k] === null) {
        chart.segments.set(trace.customdata[k], trace.y.slice(start, k));
        start = k + 1;
      }
  return chart.segments;
}

function lines(trace, view) {
  const known = segments(view.chart), rows = view.shown.filter(row => known.has(row)).slice(0, MAX_LINES);
  const ranked = rows.filter((row, k) => (k + 1) / rows.length > trace.meta.from && (k + 1) / rows.length <= trace.meta.to);
  view.of = `${counted(rows.length)} ${budgetWords(view.state.budget)}${rows.length < view.shown.length ? ", the best" : ""}; colour: rank`;
  const high = view.accuracy[rows[0]] ?? NaN, low = view.accuracy[rows.at(-1)] ?? NaN;
  for (const note of view.layout.annotations || []) {
    if (note.name === "low") note.text = percent(low / SCALE);
    if (note.name === "high") note.text = percent(high / SCALE);
  }
  const drawn = { ...trace, x: [], y: [], customdata: [] }, chosenOne = { ...drawn, x: [], y: [], customdata: [] };
  for (const row of ranked) {
    const places = [...known.get(row).slice(0, -1), (view.accuracy[row] - low) / (high - low || 1)];
    const into = row === view.state.trial ? chosenOne : drawn;
    const at = [...places.keys()].filter(axis => places[axis] !== null);
    into.x.push(...at, null);
    into.y.push(...at.map(axis => places[axis]), null);
    into.customdata.push(...at.map(() => row), row);
  }
  const ink = { color: view.ink, width: 3 };
  return chosenOne.x.length ? [drawn, { ...chosenOne, line: ink, marker: { color: view.ink, size: 5 }, opacity: 1 }] : [drawn];
}

function cells(trace, view) {
  const [across, upwards] = [table.choices[view.state.x], table.choices[view.state.y]];
  if (!across || !upwards) return [trace];
  const found = upwards.groups.map(() => across.groups.map(() => []));
  for (const row of view.shown) {
    const [x, y] = [across.place[row], upwards.place[row]];
    if (x >= 0 && y >= 0) found[y][x].push(view.accuracy[row] / SCALE);
  }
  const mean = values => values.reduce((a, b) => a + b, 0) / values.length;
  view.layout.xaxis.title.text = escaped(across.label);
  view.layout.yaxis.title.text = escaped(upwards.label);
  return [{
    ...trace, x: across.groups.map(name => escaped(cut(name, 18))), y: upwards.groups.map(name => escaped(cut(name, 18))),
    z: found.map(line => line.map(values => values.length ? mean(values) : null)),
    text: found.map(line => line.map(values => values.length ? `${percent(mean(values))}<br>n = ${values.length}` : "")),
  }];
}

function curves(trace, view) {
  const rows = view.listed.filter(row => row !== view.focus && table.status[row] !== "running" && table.curves.val_accuracy[row]);
  const kept = rows.sort((a, b) => table.accuracy.any[b] - table.accuracy.any[a]).slice(0, MAX_CURVES);
  view.of = counted(view.listed.filter(row => table.curves.val_accuracy[row]).length);
  view.limits = limitsOf([...kept, view.focus, ...view.listed.filter(row => table.status[row] === "running")]
    .flatMap(row => (table.curves.val_accuracy[row] || []).filter(value => value >= 0)));
  const lines = view.chart.layout.shapes?.filter(one => one.name !== "majority").map(one => one.y0) || [];
  view.limits[1] = Math.max(view.limits[1], ...lines.map(y => y + 0.03 * (y - view.limits[0])));
  return [joined(trace, kept)];
}

// The curves of trials in progress.
function running(trace, view) {
  return [joined(trace, view.listed.filter(row => table.status[row] === "running" && row !== view.state.trial && table.curves.val_accuracy[row]))];
}

function joined(trace, rows) {
  const drawn = { ...trace, x: [], y: [], text: [], customdata: [] };
  for (const row of rows) {
    const curve = table.curves.val_accuracy[row], title = escaped(table.title[row]);
    curve.forEach((value, k) => { drawn.x.push(k + 1); drawn.y.push(value < 0 ? null : value / SCALE); });
    drawn.x.push(null);
    drawn.y.push(null);
    for (let k = 0; k <= curve.length; k++) { drawn.text.push(title); drawn.customdata.push(row); }
  }
  return drawn;
}

function curve(trace, view) {
  const values = table.curves.val_accuracy[view.focus] || [];
  if (table.status[view.focus] === "running" && view.state.trial < 0) return [{ ...trace, x: [], y: [] }];
  const title = escaped(cut(table.title[view.focus] || "", 34));
  return [{ ...trace, x: [...values.keys()].map(k => k + 1), y: values.map(value => value < 0 ? null : value / SCALE),
    mode: values.length < 3 ? "lines+markers" : "lines", hovertemplate: `${title}<br>epoch %{x}: %{y:.1%}<extra></extra>` }];
}

// Training and validation accuracy at the best epoch: their difference is the overfitting.
function gap(row) {
  const validation = table.curves.val_accuracy[row] || [], training = table.curves.accuracy[row] || [];
  const at = validation.indexOf(Math.max(...validation));
  if (at < 0 || !(training[at] >= 0)) return "training and validation accuracy";
  const [high, low] = [training[at], validation[at]].map(value => percent(value / SCALE));
  return `at its best epoch, ${at + 1}: training ${high}, validation ${low}`;
}

function trial(trace, view) {
  const values = table.curves[trace.meta.column][view.focus] || [];
  const scale = trace.meta.column === "learning_rate" ? 1 : SCALE;
  view.caption = table.title[view.focus];
  view.of = gap(view.focus);
  view.layout.xaxis.dtick = Math.max(1, Math.ceil((table.epochs[view.focus] || 1) / 10));
  return [{ ...trace, x: [...values.keys()].map(k => k + 1), y: values.map(value => value === null || value < 0 ? null : value / scale) }];
}
