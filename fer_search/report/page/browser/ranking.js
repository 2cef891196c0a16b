// The ranking: sorted by its headings, filtered with everything else and by words, and what is known of a selected trial.
const MOST_ROWS = 300;
const ranked = document.getElementById("trials");
let rowsShown = MOST_ROWS;

function sorted(rows, sort) {
  const falling = sort.startsWith("-"), column = table.columns.find(one => one.name === sort.replace("-", ""));
  if (!column) return rows;
  const known = rows.filter(row => column.values[row] !== null), missing = rows.filter(row => column.values[row] === null);
  const number = known.every(row => typeof column.values[row] !== "string"), value = row => column.values[row];
  known.sort((a, b) => number ? value(a) - value(b) : String(value(a)).localeCompare(String(value(b))));
  return [...(falling ? known.reverse() : known), ...missing];  // what is missing comes last, whichever way
}

function rowText(row) {
  return table.columns.map(column => column.cells[row].replace(/<[^>]*>/g, " ")).join(" ").toLowerCase();
}

function drawRanking() {
  if (!ranked) return;
  const { state } = now, words = state.words.map(escaped);
  let rows = words.length ? now.listed.filter(row => words.every(word => rowText(row).includes(word))) : now.listed;
  rows = sorted(rows, state.sort);
  const focus = document.activeElement.closest?.("#trials tbody tr")?.dataset.row;
  ranked.tBodies[0].innerHTML = rows.slice(0, rowsShown).map(row => {
    const cells = table.columns.map(({ kind, cells }) => kind === "head" ? `<th scope="row">${cells[row]}</th>`
      : `<td${kind && ` class="${kind}"`}>${cells[row]}</td>`);
    const open = row === state.trial ? " selected" : "";
    return `<tr class="${table.kinds[row]}${open}" data-row="${row}">${cells.join("")}</tr>`;
  }).join("");
  if (focus) ranked.tBodies[0].querySelector(`[data-row="${focus}"] button`)?.focus({ preventScroll: true });
  const more = document.getElementById("more");
  more.hidden = rows.length <= rowsShown;
  more.textContent = `Show ${Math.min(MOST_ROWS, rows.length - rowsShown)} more of ${rows.length}`;
  for (const [k, th] of [...ranked.tHead.rows[0].cells].entries()) {
    const name = table.columns[k].name, by = state.sort.replace("-", "") === name;
    by ? th.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending") : th.removeAttribute("aria-sort");
  }
  drawSelected(state.trial);
}

function drawSelected(row) {
  const panel = document.getElementById("selected");
  panel.hidden = row < 0;
  if (row < 0) return;
  const given = Object.entries(table.given).filter(([name, values]) => values[row] !== null);
  const python = value => typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
  const baseline = `"trial_${table.trial[row]}": {${given.map(([name, values]) => `${JSON.stringify(name)}: ${python(values[row])}`).join(", ")}},`;
  const title = document.createElement("h3"), close = document.createElement("button");
  title.textContent = table.title[row].replace(/^t/, "T") + " ";
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => select(-1));
  title.append(close);
  const parts = [title, line("p", table.columns.filter(column => column.name !== "rank" && column.name !== "order")
    .map(column => `${column.heading} ${unmarked(column.cells[row])}`).join(" · "))];
  if (table.message[row]) parts.push(line("pre", table.message[row]));
  if (table.again)
    parts.push(line("p", "To train it again, from other first weights and batches:"), line("pre", again(row, given)));
  parts.push(line("p", "As one of the space's baselines (--baselines only --repeats 5 then measures it over five seeds):"), line("pre", baseline));
  const curve = document.getElementById("trial-chart");
  if (curve && table.curves.val_accuracy[row]) {
    const link = line("a", "Its learning curve");
    link.href = "#trial-chart";
    parts.push(link);
  }
  panel.replaceChildren(...parts);
}

// The command that trains a trial again: the run's, with every choice held.
function again(row, given) {
  const quoted = text => /^[\w=.,:/+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const python = value => typeof value === "boolean" ? (value ? "True" : "False") : String(value);
  const { command, name, held } = table.again, epochs = table.epochs[row];
  return [command, ...(epochs ? [`--max-epochs ${epochs}`] : []), `--name ${quoted(`${name}_trial_${table.trial[row]}`)}`,
    ...given.filter(([choice]) => !held.includes(choice)).map(([choice, values]) => `--fix ${quoted(`${choice}=${python(values[row])}`)}`)].join(" ");
}

function line(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function unmarked(markup) {
  return new DOMParser().parseFromString(markup, "text/html").body.textContent;
}

function prepareRanking() {
  if (!ranked || !form) return;
  for (const [k, th] of [...ranked.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...th.childNodes);
    button.addEventListener("click", () => {
      const name = table.columns[k].name, number = table.columns[k].kind !== "" && name !== "rank" && name !== "order";
      const [first, second] = number ? ["-" + name, name] : [name, "-" + name];  // of numbers, the highest first
      form.elements.sort.value = form.elements.sort.value === first ? second : first;
      update();
    });
    th.append(button);
  }
  const label = document.createElement("label"), input = document.createElement("input");
  Object.assign(input, { type: "search", name: "q", placeholder: "words in a row: strided failed" });
  input.setAttribute("form", "filters");
  label.className = "filter";
  label.append("Find", input);
  const more = line("button", ""), panel = document.createElement("div");
  Object.assign(more, { id: "more", type: "button", hidden: true });
  more.addEventListener("click", () => { rowsShown += MOST_ROWS; drawRanking(); });
  Object.assign(panel, { id: "selected", className: "selected", hidden: true });
  panel.setAttribute("aria-live", "polite");
  ranked.parentNode.before(label);
  ranked.parentNode.after(more, panel);
  ranked.tBodies[0].addEventListener("click", event => {
    const row = +event.target.closest("tr")?.dataset.row;
    if (row >= 0) select(row === now.state.trial ? -1 : row);
  });
}
