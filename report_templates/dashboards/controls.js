// The controls of a dashboard: environment, period, architecture and OS version, kept in the address of the page.
// Not here: counting (rows.js) and drawing (drawing.js).

const page = JSON.parse(document.getElementById("page").textContent);
const form = document.getElementById("filters");
const CONTROLS = ["environment", "days", "architecture", "os"];
const DASHBOARD = /(?:^|\/)(installation_health|system_compatibility|component_analysis|deployment_tracking)\.html/;
const refused = [];
let drawn = Promise.resolve();

const sectionOf = (widget) => document.getElementById(widget.name);

// What the address asks for; a value that no control offers is named and not used.
function chosenByAddress() {
  const asked = new URLSearchParams(location.search);
  const chosen = Object.fromEntries(CONTROLS.map((name) => [name, page.defaults[name]]));
  for (const name of CONTROLS) {
    if (!asked.has(name)) continue;
    const value = asked.get(name);
    if (page.offered[name].includes(value)) chosen[name] = value;
    else refused.push(`${page.labels[name]} “${plain(value).slice(0, 80)}” is not known here, the default is shown.`);
  }
  return chosen;
}

const state = chosenByAddress();

function addressOf(chosen) {
  const query = CONTROLS.filter((name) => chosen[name] !== page.defaults[name])
    .map((name) => `${name}=${encodeURIComponent(chosen[name])}`).join("&");
  return query ? `?${query}` : "";
}

function keepAddress() {
  const query = addressOf(state);
  history.replaceState(null, "", `${location.pathname}${query}${location.hash}`);
  for (const link of document.querySelectorAll("a[href]")) {
    const [whole] = link.getAttribute("href").split(/[?#]/);
    if (DASHBOARD.test(whole)) link.setAttribute("href", `${whole}${query}`);
  }
}

const filtersOf = (widget) => ({
  environment: state.environment,
  days: state.days ? Number(state.days) : widget.days,
  architecture: state.architecture,
  os: state.os,
});

function daysShown(facts, days) {
  if (!facts.last_day) return `${days}${SPACE}days`;
  const last = dateOf(facts.last_day);
  const first = new Date(last.getTime() - (days - 1) * 86_400_000);
  return `${days}${SPACE}days, ${day(first)} to ${day(last)}${SPACE}${last.getUTCFullYear()}`;
}

const system = () => [
  state.architecture === "all" ? "all architectures" : plain(state.architecture),
  state.os === "all" ? "all OS versions" : plain(state.os),
];

function nounOf(widget, counted) {
  return `${count(counted)}${SPACE}${widget.counted.noun}${counted === 1 ? "" : "s"}`;
}

function shownLine(widget, facts, counted) {
  const scope = widget.scope || plain(state.environment);
  const parts = [scope, daysShown(facts, filtersOf(widget).days), ...system(), nounOf(widget, counted)];
  if (widget.scope && state.environment !== page.defaults.environment) parts.push("the chosen environment does not apply");
  if (widget.filtered && (state.architecture !== "all" || state.os !== "all")) parts.push(widget.filtered);
  return parts.join(" · ");
}

const altOf = (widget, words) => page.alt.replace("{form}", widget.form).replace("{finding}", () => words);

async function showWidget(widget, facts) {
  const section = sectionOf(widget);
  const { rows, parts } = rowsOf(widget.name, facts, filtersOf(widget));
  const found = findingOf(widget, rows, parts);
  section.querySelector(".finding").replaceChildren(...said(found.sentence, found.values, page));
  section.querySelector(".shown").replaceChildren(shownLine(widget, facts, found.counted));
  const canvas = section.querySelector(".canvas");
  canvas?.setAttribute("aria-label", altOf(widget, say(found.sentence, found.values, page.zone)));
  const tile = section.querySelector(".tile-lines");
  if (tile) showTile(tile, widget.tile, rows[0], page);
  widget.tables.forEach((table, number) => {
    const place = section.querySelector(`[data-table="${number}"]`);
    showTable(place, table, table.part ? parts[table.part] : rows, parts, page);
  });
  section.showChart = async () => {
    const place = section.querySelector(".canvas");
    if (place) await showChart(place, widget.drawing, found.counted ? rows : [], parts.changes ?? [], page);
    place?.parentElement.toggleAttribute("hidden", place.hidden);
  };
  section.csv = () => csvOf(rows, columnsOf(widget.name));
  await section.showChart();
}

function sayWhatIsShown(facts) {
  const days = state.days || page.defaults.days || "30";
  const scope = page.has_environment ? [plain(state.environment)] : [];
  const words = [...scope, state.days ? daysShown(facts, Number(days)) : page.days_default, ...system()];
  document.getElementById("status").textContent = [...refused, `Shown: ${words.join(" · ")}.`].join(" ");
}

// Draw the widgets one after the other, so that the first ones are there soon.
async function showAll(facts) {
  sayWhatIsShown(facts);
  for (const widget of page.widgets) {
    await showWidget(widget, facts);
    await new Promise((resume) => setTimeout(resume));
  }
  document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function offerDownloads() {
  for (const widget of page.widgets) {
    const button = sectionOf(widget).querySelector("button.csv");
    button.hidden = false;
    button.addEventListener("click", () => download(`${widget.name}.csv`, sectionOf(widget).csv()));
  }
}

// Charts follow the width of their card.
function followWidths() {
  let waiting = 0;
  const widths = new Map();
  const watcher = new ResizeObserver((entries) => {
    const wider = entries.filter(({ target, contentRect }) => {
      const before = widths.get(target);
      widths.set(target, contentRect.width);
      return before !== undefined && Math.abs(before - contentRect.width) > 1;
    });
    if (!wider.length) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      drawn = drawn.then(async () => {
        for (const widget of page.widgets) await sectionOf(widget).showChart?.();
      });
    }, 150);
  });
  for (const widget of page.widgets) watcher.observe(sectionOf(widget));
}

function readControls() {
  refused.length = 0;
  for (const name of CONTROLS) if (form.elements[name]) state[name] = form.elements[name].value;
}

async function start() {
  const facts = await unpackFacts(document.getElementById("facts").textContent);
  for (const name of CONTROLS) if (form.elements[name]) form.elements[name].value = state[name];
  const show = () => {
    keepAddress();
    drawn = drawn.then(() => showAll(facts));
    return drawn;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => { readControls(); show(); });
  form.addEventListener("reset", () => setTimeout(() => {
    for (const name of CONTROLS) if (form.elements[name]) form.elements[name].value = page.defaults[name];
    readControls();
    show();
  }));
  form.hidden = false;
  offerDownloads();
  await show();
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
  followWidths();
}

start();
