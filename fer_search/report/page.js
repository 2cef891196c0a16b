// Charts are drawn as they scroll into view, in the colours of the page; the tables sort and filter.
const data = JSON.parse(document.getElementById("charts").textContent);
const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return { "font.color": style.getPropertyValue("--muted"), "hoverlabel.bgcolor": style.getPropertyValue("--panel"),
           "hoverlabel.font.color": style.getPropertyValue("--fg") };
};
const drawn = new Set();
function draw(element) {
  if (drawn.has(element)) return;
  drawn.add(element);
  const { figure, config } = data[element.id];
  Plotly.newPlot(element, figure.data, figure.layout, config).then(() => Plotly.relayout(element, colours()));
}
const seen = new IntersectionObserver(
  entries => entries.filter(e => e.isIntersecting).forEach(e => draw(e.target)), { rootMargin: "400px" });
document.querySelectorAll(".chart").forEach(element => seen.observe(element));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
  () => drawn.forEach(element => Plotly.relayout(element, colours())));
addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(draw));

function key(row, column) {
  const cell = row.cells[column], number = parseFloat(cell.dataset.v ?? cell.textContent);
  return isNaN(number) ? cell.textContent : number;
}
document.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const th = button.closest("th"), table = th.closest("table"), body = table.tBodies[0];
  const up = th.getAttribute("aria-sort") === "descending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  const rows = [...body.rows].map(row => [key(row, th.cellIndex), row]);
  rows.sort(([a], [b]) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? 1 : -1);
  if (!up) rows.reverse();
  body.append(...rows.map(([, row]) => row));
}));
document.querySelectorAll(".filter input").forEach(input => input.addEventListener("input", () => {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.getElementById(input.dataset.table).tBodies[0].rows)
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
}));
