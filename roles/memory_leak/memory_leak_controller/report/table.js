const body = document.querySelector("#table tbody");
const rows = [...body.rows];
const headings = [...document.querySelectorAll("#table th")];

function value(row, column) {
  const cell = row.cells[column];
  const number = cell.dataset.value;
  return number === undefined ? cell.textContent.trim() : number === "" ? -Infinity : Number(number);
}

headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  rows.sort((one, other) => {
    const [a, b] = [value(one, column), value(other, column)];
    return (typeof a === "number" ? a - b || 0 : compare(a, b)) * (ascending ? 1 : -1);
  });
  body.append(...rows);
}));

document.querySelector("#filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
});
