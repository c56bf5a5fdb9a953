// Choosing rows of the facts and adding them up. Not here: what a widget shows.
//
// Names lie in the facts in their order, so that rows are ordered by their places. The place after the last one stands
// for all names that have none of their own.

const ANY = -1; // in a column of places: all of them together
const DAY_MS = 86400000;
// Marks a row that stands for several names. A symbol, since it is no column: tables, charts and CSV do not see it.
const POOLED = Symbol("pooled");

/** What the filters choose of the systems: a place, and places of releases; null where nothing is chosen. */
function chosenSystem(facts, filters) {
  const all = (value) => value === undefined || value === null || value === "all";
  const releases = facts.names.os.flatMap((one, place) => (one.release === filters.os ? [place] : []));
  return {
    architecture: all(filters.architecture) ? null : facts.names.architecture.indexOf(filters.architecture),
    releases: all(filters.os) ? null : new Set(releases),
  };
}

/** Numbers of the rows of a table that the filters leave and for which `wanted` says so. A table without `os` is there
 * for filters that choose none. */
function rowsIn(facts, name, filters, wanted = () => true) {
  const table = facts.tables[name];
  const system = chosenSystem(facts, filters);
  const found = [];
  for (let row = 0; row < table.architecture.length; row += 1) {
    if (system.architecture !== null && table.architecture[row] !== system.architecture) continue;
    if (system.releases !== null && !system.releases.has(table.os[row])) continue;
    if (wanted(table, row)) found.push(row);
  }
  return found;
}

/** Sums of the values by key, as objects in the order in which the keys were first met. A sum with a null is null. */
function summed(facts, name, rows, keys, values) {
  const table = facts.tables[name];
  const found = new Map();
  for (const row of rows) {
    const key = keys.map((column) => table[column][row]);
    const text = key.join(" ");
    if (!found.has(text)) {
      const start = Object.fromEntries(keys.map((column, place) => [column, key[place]]));
      for (const value of values) start[value] = 0;
      found.set(text, start);
    }
    const sum = found.get(text);
    for (const value of values) {
      const more = table[value][row];
      sum[value] = more === null || sum[value] === null ? null : sum[value] + more;
    }
  }
  return [...found.values()];
}

/** Sums of the values over all of the rows. */
function total(facts, name, rows, values) {
  const [sum] = summed(facts, name, rows, [], values);
  return sum ?? Object.fromEntries(values.map((value) => [value, 0]));
}

/** The objects by these fields: "-events" is the largest first. Fields hold numbers. */
function ordered(objects, ...fields) {
  const signs = fields.map((field) => (field.startsWith("-") ? [field.slice(1), -1] : [field, 1]));
  return [...objects].sort((one, other) => {
    for (const [field, sign] of signs) {
      if (one[field] !== other[field]) return sign * (one[field] - other[field]);
    }
    return 0;
  });
}

/** The day that lies so many days before the last one; null when there is no last one. */
function dayBefore(facts, days) {
  if (facts.last_day === null) return null;
  return new Date(Date.parse(facts.last_day) - days * DAY_MS).toISOString().slice(0, 10);
}

/** The days of the window, oldest first: `ago`, `date`, and what no events mean on it: 0, or null before reading began. */
function daysOf(facts, filters) {
  if (facts.last_day === null) return [];
  return Array.from({ length: filters.days }, (_, place) => {
    const ago = filters.days - 1 - place;
    const date = dayBefore(facts, ago);
    return { ago, date, nothing: facts.first_known_day !== null && date >= facts.first_known_day ? 0 : null };
  });
}

/** The name at a place, `others (n)` where it has none of its own. */
function nameAt(names, place, others) {
  return place < names.length ? names[place] : `others (${others})`;
}

/** Whether a row stands for names that have no place of their own. */
function isPooled(row) {
  return row[POOLED] === true;
}

/** How many different names without a place of their own the filters leave. */
function othersOf(facts, name, filters, wanted) {
  const table = facts.tables[name];
  const system = chosenSystem(facts, filters);
  let found = 0;
  for (let row = 0; row < table.os.length; row += 1) {
    const isArchitecture = table.architecture[row] === (system.architecture ?? ANY);
    const isRelease = system.releases === null ? table.os[row] === ANY : system.releases.has(table.os[row]);
    if (isArchitecture && isRelease && wanted(table, row)) found += table.names[row];
  }
  return found;
}
