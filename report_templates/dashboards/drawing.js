// Charts, tables and tiles of one page, drawn from rows: the same words as reports/dashboards/cells.py writes.
// Text only ever becomes text. Not here: which rows (rows.js) and the controls (controls.js).

const FEW = "fewer than 10 events";
const foldedRows = () => (matchMedia("(max-width: 46rem)").matches ? 5 : 12);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== "" && value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Long names of components break after their underscores.
function breakable(text) {
  const made = element("bdi");
  text.split("_").forEach((part, place) => {
    if (place) made.append("_", document.createElement("wbr"));
    made.append(part);
  });
  return made;
}

function valueOf(value, form, { zone, few = false, words = {} }) {
  if (form === "text" && Object.hasOwn(words, value)) {
    return element("span", { class: value === "not_reported" ? "chance" : "" }, words[value]);
  }
  const shown = inWords(value, form, zone);
  if (value === null || value === undefined) return element("span", {}, shown);
  if (form === "text") return breakable(shown);
  if (/day|instant/.test(form)) return element("time", { datetime: value }, shown);
  const grey = few && form === "percent" ? { class: "few", title: FEW } : {};
  return element("data", { ...grey, value: JSON.stringify(value) }, shown);
}

// A template over a row as nodes.
function said(template, row, options) {
  return piecesOf(template).map((one) => (one.field ? valueOf(row[one.field], one.form, options) : one.text));
}

const isKnown = (template, row) =>
  piecesOf(template).every((one) => !one.field || (row[one.field] !== null && row[one.field] !== undefined));
const isFew = (row, field) => Boolean(field) && (row[field] ?? 0) < SMALL_NUMBER;

function linesOf(column, row, page) {
  const options = { zone: page.zone, few: isFew(row, column.few), words: column.words };
  const [first, ...others] = column.lines;
  let nodes = said(first, row, options);
  if (column.is_code) nodes = [element("code", {}, ...nodes)];
  const sha = column.is_commit ? String(row[piecesOf(first)[0].field]) : "";
  if (page.commit_url && /^[0-9a-f]{7,40}$/.test(sha)) {
    nodes = [element("a", { href: page.commit_url + sha, rel: "noreferrer" }, ...nodes)];
  }
  for (const badge of column.badges) if (row[badge.field]) nodes.push(" ", element("span", { class: badge.css }, badge.word));
  for (const line of others) if (isKnown(line, row)) nodes.push(element("small", {}, ...said(line, row, options)));
  return nodes;
}

function linesOfPart(column, row, parts, page) {
  const found = parts[column.part].filter((one) =>
    one.component === row.component && Object.entries(column.where).every(([name, value]) => one[name] === value));
  if (!found.length) return [element("span", { class: "chance" }, "none")];
  return found.map((one) =>
    element("span", { class: "line" }, ...said(column.lines[0], one, { zone: page.zone, words: column.words })));
}

function cellOf(column, row, place, { parts, page, isHead }) {
  const nodes = column.part ? linesOfPart(column, row, parts, page) : linesOf(column, row, page);
  if (column.swatch) nodes.unshift(element("span", { class: `swatch s${place}` }));
  const verdict = column.css === "verdict" ? (["worse", "better"].includes(row.verdict) ? row.verdict : "chance") : "";
  const css = `${column.css} ${verdict}`.trim();
  if (isHead) return element("th", { scope: "row", class: css }, ...nodes);
  return element("td", { class: css, "data-label": column.label }, element("span", {}, ...nodes));
}

function plainTable(table, rows, parts, page) {
  const heads = table.columns.map(({ label, css }) => element("th", { scope: "col", class: css }, label));
  const lines = rows.map((row, place) =>
    element("tr", { class: table.marked && row[table.marked] ? "marked" : "" },
      ...table.columns.map((column, number) => cellOf(column, row, place, { parts, page, isHead: !number }))));
  return [heads, lines];
}

function pivotTable({ pivot }, rows, page) {
  const sorted = rows.map((row) => [row[pivot.across], row[pivot.name]]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const names = new Map(sorted);
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row[pivot.row])) found.set(row[pivot.row], new Map());
    found.get(row[pivot.row]).set(row[pivot.across], row);
  }
  const column = { lines: pivot.lines, few: pivot.few, words: {}, badges: [] };
  const heads = [element("th", { scope: "col", class: "name" }, pivot.head)];
  for (const name of names.values()) heads.push(element("th", { scope: "col" }, inWords(name, "text")));
  const lines = [...found].map(([value, cells]) => {
    const head = element("th", { scope: "row", class: "name" }, valueOf(value, pivot.form, page));
    const values = [...names.keys()].map((one) =>
      element("td", {}, element("span", {}, ...(cells.has(one) ? linesOf(column, cells.get(one), page) : []))));
    return element("tr", {}, head, ...values);
  });
  return [heads, lines];
}

// Put a table of these rows into its place, the rows beyond the first ones behind a button.
function showTable(place, table, rows, parts, page) {
  if (!rows.length) {
    place.replaceChildren(element("p", { class: "note" }, table.nothing));
    return;
  }
  const [heads, lines] = table.pivot ? pivotTable(table, rows, page) : plainTable(table, rows, parts, page);
  const made = element("table", { class: table.stack ? "stack" : "" },
    element("caption", { class: "unseen" }, table.caption),
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
  place.replaceChildren(element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": table.caption }, made));
  fold(place);
}

// Show the first rows of a long table until a reader asks for all.
function fold(place) {
  const rows = [...place.querySelectorAll("tbody > tr")];
  const first = foldedRows();
  if (rows.length <= first + 3 || place.closest("details")) return;
  for (const row of rows.slice(first)) row.classList.add("more");
  const button = element("button", { type: "button", class: "unfold", "aria-expanded": "false" }, `Show all ${rows.length} rows`);
  place.classList.add("folded");
  button.addEventListener("click", () => {
    const open = place.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!open));
    button.textContent = open ? `Show all ${rows.length} rows` : `Show the first ${first} rows`;
  });
  place.append(button);
}

function showTile(place, lines, row, page) {
  const shown = lines.filter((line, number) => !number || isKnown(line.template, row));
  place.replaceChildren(...shown.map((line) =>
    element("p", { class: line.css }, ...said(line.template, row, { zone: page.zone, few: isFew(row, line.few) }))));
}

// By name what stands for it in a chart: on one line, cut with "…"; no two names alike.
function shortNames(names, longest) {
  const shown = new Map();
  const taken = new Set();
  for (const name of names) {
    if (shown.has(name)) continue;
    const letters = [...plain(name)];
    let text = letters.length <= longest ? letters.join("") : `${letters.slice(0, longest - 1).join("")}…`;
    for (let number = 2; taken.has(text); number += 1) text = `${letters.slice(0, longest - 5).join("")}… (${number})`;
    taken.add(text);
    shown.set(name, text);
  }
  return shown;
}

const longestName = (room) => (room >= 480 ? 28 : 16);

// Rows as a chart reads them: short names, labels in words.
function prepared(drawing, rows, zone, longest) {
  const [field, value] = drawing.leave_out;
  const kept = rows.filter((row) => !field || row[field] !== value).map((row, place) => ({ place, ...row }));
  const shown = new Map(drawing.names.map((name) => [name, shortNames(kept.map((row) => row[name]), longest)]));
  for (const row of kept) {
    for (const [label, template] of drawing.labels) row[label] = say(template, row, zone);
    for (const [name, texts] of shown) row[name] = texts.get(row[name]);
  }
  return kept;
}

// The first and the last day of rows, as instants.
function daysOfRows(rows) {
  const days = rows.filter((row) => row.event_date).map((row) => Date.parse(`${row.event_date}T00:00:00Z`));
  return days.length ? [Math.min(...days), Math.max(...days)] : [0, 1];
}

// Draw a chart into its place, as wide as there is room.
async function showChart(place, drawing, rows, changes, page) {
  const style = getComputedStyle(place.parentElement);
  const inside = place.parentElement.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const room = Math.floor(drawing.ring ? Math.min(drawing.spec.height ?? inside, inside) : inside);
  const spec = structuredClone(drawing.spec);
  spec.params = [{ name: "room", value: room }, { name: "days", value: daysOfRows(rows) }];
  (drawing.inner ? spec.spec : spec).width = room - drawing.beside;
  if (drawing.stepped) {
    spec.height = drawing.step * Math.min(page.most_cells, new Set(rows.map((row) => row[drawing.stepped])).size);
  }
  spec.datasets = { rows: prepared(drawing, rows, page.zone, longestName(room)), changes };
  place.hidden = !spec.datasets.rows.length;
  if (!place.firstElementChild) place.append(element("div"));
  const canvas = place.firstElementChild; // so that what the chart shows is said by us, on `place`
  if (!place.hidden) await vegaEmbed(canvas, spec, { actions: false, renderer: "svg", mode: "vega-lite" });
  canvas.removeAttribute("role");
  canvas.removeAttribute("aria-label");
  canvas.removeAttribute("aria-roledescription");
  // What it shows is said by its label and its table; the names that Vega gives its parts tell nothing.
  place.querySelector("svg")?.setAttribute("aria-hidden", "true");
  place.dataset.room = room;
}
