// How each kind of trace (its meta.role, given by the figure) shows what the reader chose. Each takes the trace as the
// figure made it, and the view {state, accuracy, shown, among, listed, chart}; it returns what to draw in its place.
const MOST_DOTS = 400, MOST_LINES = 500, MOST_CURVES = 300;
const roles = { dots, star, means, front, best, flow, time, lines, cells, curves, curve, trial };
const RISING = ["#5a6fc0", "#2a9d9d", "#52b96a", "#b5c334", "#eab71a"];  // legible on light and dark

function colourOf(row, state, otherwise) {
  if (!state.colour) return otherwise;
  const choice = table.choices[state.colour], place = choice.place[row];
  if (place < 0) return settings.muted;
  if (!choice.ordered) return settings.palette[place % settings.palette.length];
  return RISING[Math.round(place / Math.max(1, choice.groups.length - 1) * (RISING.length - 1))];
}

// The dots of a trace that are shown: their positions, thinned evenly by rank where they are too many to draw.
function points(trace, view, thinned = true) {
  const own = trace.meta.y === "own", y = own ? table.accuracy.any : view.accuracy;
  const keep = own ? new Set(view.listed) : view.among;
  let at = trace.customdata.map((row, k) => k).filter(k => keep.has(trace.customdata[k]) && y[trace.customdata[k]] >= 0);
  if (thinned && at.length > MOST_DOTS) {
    at.sort((a, b) => y[trace.customdata[b]] - y[trace.customdata[a]]);
    at = at.filter((_, k) => k % Math.ceil(at.length / MOST_DOTS) === 0 || trace.customdata[at[k]] === view.state.trial);
  }
  return at.map(k => ({ row: trace.customdata[k], x: trace.x[k], y: y[trace.customdata[k]] }));
}

function dots(trace, view) {
  const found = points(trace, view);
  const drawn = {
    ...trace, x: found.map(one => one.x), y: found.map(one => one.y / SCALE), customdata: found.map(one => one.row),
    text: found.map(one => describe(one.row, one.y)),
    marker: { ...trace.marker, color: found.map(one => colourOf(one.row, view.state, trace.marker.color)) },
  };
  const ring = found.filter(one => one.row === view.state.trial);
  const around = { type: "scatter", mode: "markers", hoverinfo: "skip", x: ring.map(one => one.x), y: ring.map(one => one.y / SCALE),
    marker: { symbol: "circle-open", size: 18, color: view.ink, opacity: 1, line: { width: 3 } } };
  if (trace.meta.y !== "own") {
    view.layout.yaxis.range = ends(view.shown.map(row => view.accuracy[row]));
    view.of = `${counted(points(trace, view, false).length)} ${budgetWords(view.state.budget)}`;
  } else ownCaption(view);
  return [drawn, around];
}

// Of trials at their own epochs: how many of them are left, and where they are, if the figure does not say.
function ownCaption(view) {
  const every = view.chart.data.filter(one => one.meta?.role === "dots");
  const [left, all] = [every.flatMap(one => points(one, view, false)), every.flatMap(one => one.customdata)];
  view.layout.yaxis.range ??= ends(left.map(one => one.y));
  if (left.length < all.length) view.of = `${left.length.toLocaleString("en")} of ${counted(all.length)}, filtered`;
}

// The ends of an accuracy axis that holds all of these, with some room; the same in all panels of the trials shown.
function ends(accuracies) {
  if (!accuracies.length) return [0, 1];
  const [high, low] = [Math.max, Math.min].map(end => accuracies.reduce((a, b) => end(a, b)) / SCALE), room = Math.max(0.08 * (high - low), 0.004);
  return [low - room, high + 1.3 * room];
}

const counted = n => `${n.toLocaleString("en")} trial${n === 1 ? "" : "s"}`;
const budgetWords = budget => budget === "any" ? "whatever the epochs" : `at ${budget} epoch${budget === "1" ? "" : "s"}`;

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
    text: full.map(k => `<b>${escaped(choice.groups[k])}</b><br>mean of ${found[k].n} trials ${percent(found[k].mean)}`
      + (found[k].half ? `<br>95% interval ${percent(found[k].mean - found[k].half)} to ${percent(found[k].mean + found[k].half)}` : "")),
  }];
}

function front(trace, view) {
  const source = view.chart.data.find(one => one.meta?.role === "dots");
  let best = -1;
  const found = points(source, view, false).sort((a, b) => a.x - b.x || b.y - a.y)
    .filter(one => one.y > best && (best = one.y));
  return [{ ...trace, x: found.map(one => one.x), y: found.map(one => one.y / SCALE) }];
}

// The best so far of those shown.
function best(trace, view) {
  const found = points(view.chart.data.find(one => one.meta?.role === "dots"), view, false).sort((a, b) => a.x - b.x);
  let high = 0;
  return [{ ...trace, x: found.map(one => one.x), y: found.map(one => (high = Math.max(high, one.y)) / SCALE) }];
}

// From each promoted trial to where it went, a piece of three points, where both are shown.
function flow(trace, view) {
  const listed = new Set(view.listed), keep = (_, k) => listed.has(trace.customdata[k - k % 3]) && listed.has(trace.customdata[k - k % 3 + 1]);
  return [{ ...trace, x: trace.x.filter(keep), y: trace.y.filter(keep) }];
}

// Where the time of the listed trials went: a trace for each place of a choice's values.
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

// Parallel coordinates: every trial's line, found once in the figure, then put into the band of its rank.
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
  const known = segments(view.chart), rows = view.shown.filter(row => known.has(row)).slice(0, MOST_LINES);
  const ranked = rows.filter((row, k) => (k + 1) / rows.length > trace.meta.from && (k + 1) / rows.length <= trace.meta.to);
  view.of = `${counted(rows.length)} ${budgetWords(view.state.budget)}${rows.length < view.shown.length ? ", the best" : ""}; colour: rank`;
  const high = view.accuracy[rows[0]], low = view.accuracy[rows.at(-1)];
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
  const rows = view.shown.filter(row => table.ended[row] && row !== view.focus && table.curves.val_accuracy[row]).slice(0, MOST_CURVES);
  const drawn = { ...trace, x: [], y: [], text: [], customdata: [] };
  view.of = counted(rows.length + 1);
  for (const row of rows) {
    const curve = table.curves.val_accuracy[row], title = escaped(table.title[row]);
    curve.forEach((value, k) => { drawn.x.push(k + 1); drawn.y.push(value < 0 ? null : value / SCALE); });
    drawn.x.push(null);
    drawn.y.push(null);
    for (let k = 0; k <= curve.length; k++) { drawn.text.push(title); drawn.customdata.push(row); }
  }
  return [drawn];
}

function curve(trace, view) {
  const values = table.curves.val_accuracy[view.focus] || [];
  const title = escaped(cut(table.title[view.focus] || "", 34));
  return [{ ...trace, x: [...values.keys()].map(k => k + 1), y: values.map(value => value < 0 ? null : value / SCALE),
    hovertemplate: `${title}<br>epoch %{x}: %{y:.1%}<extra></extra>` }];
}

// Training beside validation where it was best: how far it overfits.
function gap(row) {
  const validation = table.curves.val_accuracy[row] || [], training = table.curves.accuracy[row] || [];
  const at = validation.indexOf(Math.max(...validation));
  if (at < 0 || !(training[at] >= 0)) return "training beside validation";
  const [high, low] = [training[at], validation[at]].map(value => percent(value / SCALE));
  return `at its best epoch, ${at + 1}: training ${high}, validation ${low}`;
}

function trial(trace, view) {
  const values = table.curves[trace.meta.column][view.focus] || [];
  const scale = trace.meta.column === "learning_rate" ? 1 : SCALE;
  view.caption = table.title[view.focus];
  view.of = gap(view.focus);
  return [{ ...trace, x: [...values.keys()].map(k => k + 1), y: values.map(value => value === null || value < 0 ? null : value / scale) }];
}
