// The ranking: sorted by its headings, filtered like the charts and by words, and the card of a selected design.
const FIRST_ROWS = 10, MORE_ROWS = 300;
let ranked = document.getElementById("trials");
let rowsShown = FIRST_ROWS;

function sorted(rows, sort) {
  const falling = sort.startsWith("-"), column = table.columns.find(one => one.name === sort.replace("-", ""));
  if (!column) return rows;
  const known = rows.filter(row => column.values[row] !== null), missing = rows.filter(row => column.values[row] === null);
  const number = known.every(row => typeof column.values[row] !== "string"), value = row => column.values[row];
  known.sort((a, b) => number ? value(a) - value(b) : String(value(a)).localeCompare(String(value(b))));
  return [...(falling ? known.reverse() : known), ...missing];  // missing values come last in either direction
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
    const cells = table.columns.map(({ kind, group, cells }) => kind === "head" ? `<th scope="row">${cells[row]}</th>`
      : `<td class="${kind} ${group}">${cells[row]}</td>`);
    const open = row === state.trial ? " selected" : "";
    return `<tr class="${table.kinds[row]}${open}" data-row="${row}">${cells.join("")}</tr>`;
  }).join("") || `<tr class="none"><td colspan="${table.columns.length}">No design matches the filter.</td></tr>`;
  if (focus) ranked.tBodies[0].querySelector(`[data-row="${focus}"] button`)?.focus({ preventScroll: true });
  const more = document.getElementById("more");
  more.hidden = rows.length <= rowsShown;
  more.textContent = rows.length - rowsShown > MORE_ROWS ? `Show ${MORE_ROWS} more of ${rows.length}` : `Show all ${rows.length}`;
  for (const [k, th] of [...ranked.tHead.rows[0].cells].entries()) {
    const name = table.columns[k].name, by = state.sort.replace("-", "") === name;
    by ? th.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending") : th.removeAttribute("aria-sort");
  }
  drawSelected(state.trial);
}

// The card of a selected design stays on the screen, whatever was clicked; its learning curve is moved into it.
function drawSelected(row) {
  const panel = document.getElementById("selected"), curve = document.getElementById("trial-figure");
  panel.hidden = row < 0;
  if (curve) curve.hidden = row < 0 || !table.curves.val_accuracy[row];
  if (row < 0) return;
  const given = Object.entries(table.given).filter(([name, values]) => values[row] !== null);
  const title = line("h3", table.title[row].replace(/^t/, "T") + " "), close = line("button", "Close");
  close.type = "button";
  close.addEventListener("click", () => select(-1));
  title.append(close);
  const hidden = ["rank", "order", "status"], facts = table.columns.filter(({ name }) => !hidden.includes(name));
  const parts = [title, line("p", facts.map(({ heading, cells }) => `${heading} ${unmarked(cells[row])}`).join(" · "))];
  for (const text of table.notes[row]) parts.push(line("p", `Note: ${text}`));
  if (table.tags[row].length) parts.push(line("p", `Tags: ${table.tags[row].join(", ")}`));
  if (table.message[row]) parts.push(line("pre", table.message[row]));
  if (curve) parts.push(curve);
  const more = document.createElement("details");
  more.append(line("summary", "Train it again"));
  if (table.again) more.append(line("p", "With another seed:"), line("pre", again(row, given)));
  more.append(line("p", "As a baseline of the space (then --baselines only --repeats 5 trains five seeds):"), line("pre", baseline(row, given)));
  parts.push(more);
  more.open = panel.querySelector("details")?.open ?? false;
  panel.replaceChildren(...parts);
}

const pythonValue = value => typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
const baseline = (row, given) => `"trial_${table.trial[row]}": `
  + `{${given.map(([name, values]) => `${JSON.stringify(name)}: ${pythonValue(values[row])}`).join(", ")}},`;

// The command that trains a design again: the run's, with every choice fixed.
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
  prepareHead();
  const tools = document.createElement("div"), label = document.createElement("label"), input = document.createElement("input");
  Object.assign(input, { type: "search", name: "q", placeholder: "strided failed" });
  input.setAttribute("form", "filters");
  label.append("Find ", input);
  tools.className = "filter";
  tools.append(label);
  if (ranked.querySelector(".choice")) {
    const toggle = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.checked = !ranked.classList.contains("narrow");
    box.addEventListener("change", () => ranked.classList.toggle("narrow", !box.checked));
    toggle.append(box, " Choices");
    tools.append(toggle);
  }
  const more = Object.assign(line("button", ""), { id: "more", type: "button", hidden: true });
  more.addEventListener("click", () => { rowsShown = rowsShown === FIRST_ROWS ? MORE_ROWS : rowsShown + MORE_ROWS; drawRanking(); });
  ranked.parentNode.before(tools);
  ranked.parentNode.after(more);
}

// The headings sort; also after the server has sent other columns.
function prepareHead() {
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
  ranked.tBodies[0].addEventListener("click", event => {
    const row = +event.target.closest("tr")?.dataset.row;
    if (row >= 0) select(row === now.state.trial ? -1 : row);
  });
}
