// The finding in a widget's title: the rules of reports/dashboards/words.py for the filters that a reader chooses. The
// sentences come from there with the page. Not here: showing them.

const SMALL_NUMBER = 10;
const NO_EVENTS = "No events in this period";
const NONE = ["none", {}];
// Rows of names that have no row of their own make no title, and then a title speaks of the others only.
const AMONG = ", among those with a row of their own";
const NONE_NAMED = "{counted|count} events, all of names without a row of their own";

const sum = (rows, field) => rows.reduce((total, row) => total + (row[field] ?? 0), 0);
const enough = (rows) => rows.filter((row) => row.events >= SMALL_NUMBER);
const pick = (row, ...names) => Object.fromEntries(names.map((name) => [name, row[name]]));

// Events, successes and their rate of each line over all its days, in the order of the lines.
function sumsOf(rows, name) {
  const lines = new Map();
  for (const row of rows) {
    if (!lines.has(row[name])) lines.set(row[name], { ...row, events: 0, successes: 0 });
    const line = lines.get(row[name]);
    line.events += row.events ?? 0;
    line.successes += row.successes ?? 0;
  }
  return [...lines.values()].map((line) => ({
    ...line, success_rate: line.events ? line.successes / line.events : null,
  }));
}

function lowest(rows, ...names) {
  const known = enough(rows);
  if (!known.length) return ["few", {}];
  const low = known.reduce((least, row) => (row.success_rate < least.success_rate ? row : least));
  return low.success_rate < 1 ? ["some", pick(low, ...names)] : ["whole", {}];
}

const RULES = {
  success_rate: ([row]) => {
    if (row.events < SMALL_NUMBER) return ["few", row];
    return [row.events_before >= SMALL_NUMBER ? "both" : "some", row];
  },
  daily_volume: (rows) => {
    const days = new Map();
    for (const row of rows) days.set(row.event_date, (days.get(row.event_date) ?? 0) + (row.events ?? 0));
    const [day, events] = [...days].reduce((most, one) => (one[1] > most[1] ? one : most));
    return ["some", { day, events, total: sum(rows, "events") }];
  },
  outcomes: (rows) => {
    const found = Object.fromEntries(rows.map((row) => [row.outcome, row.events]));
    return ["some", { failures: found.failure, events: found.success + found.failure }];
  },
  environments: (rows) => {
    const events = sum(rows, "events");
    return ["some", { environment: rows[0].environment, share: rows[0].events / events, events }];
  },
  architecture_performance: (rows) => {
    const [first, second] = enough(rows);
    if (!first) return ["few", {}];
    const values = { first: first.architecture, first_rate: first.success_rate, events: first.events };
    if (!second) return ["one", values];
    return ["two", { ...values, second: second.architecture, second_rate: second.success_rate }];
  },
  os_versions: (rows) => {
    const fresh = rows.filter((row) => row.is_new);
    if (!fresh.length) return [rows.some((row) => row.is_new === null) ? "unknown" : "old", {}];
    return [fresh.length === 1 ? "one" : "several", { new: fresh.length, release: fresh[0].os_release }];
  },
  architecture_success: (rows) => {
    const [first] = enough(rows);
    if (!first) return ["few", {}];
    return ["some", { ...pick(first, "architecture", "success_rate"), share: first.events / sum(rows, "events") }];
  },
  os_version_trends: (rows) => {
    const lines = sumsOf(rows, "place");
    const events = sum(lines, "events");
    return ["some", { release: lines[0].os_release, share: lines[0].events / events, events }];
  },
  component_success: (rows) => {
    const failing = enough(rows).filter((row) => row.failures);
    return failing.length ? ["some", pick(failing[0], "component", "failures", "events")] : ["few", {}];
  },
  problematic_components: (rows) => [
    "some", { component: rows[0].component, failures: rows[0].component_failures, total: sum(rows, "failures") },
  ],
  component_trends: (rows) => lowest(sumsOf(rows, "place"), "component", "success_rate", "events"),
  component_matrix: (rows) => lowest(rows, "component", "architecture", "success_rate", "events"),
  commit_table: (rows) => {
    const worse = rows.filter((row) => row.is_regression);
    if (!worse.length) return ["calm", {}];
    return [worse.length === 1 ? "one" : "several", { regressions: worse.length, commit: worse[0].commit_sha }];
  },
  version_rollback: (_, { changes }) => {
    const back = changes.filter((row) => row.is_rollback);
    if (!changes.length) return ["calm", {}];
    const last = (back.length ? back : changes).at(-1);
    const values = { day: last.event_date, from: last.from_commit, to: last.to_commit };
    if (back.length) return [back.length === 1 ? "one" : "several", { ...values, rollbacks: back.length }];
    return [changes.length === 1 ? "change" : "changes", { ...values, changes: changes.length }];
  },
  ci_comparison: (rows) => {
    const marked = rows.filter((row) => row.is_marked && row.component !== "all");
    if (marked.length) {
      return [marked.length === 1 ? "one" : "several", { component: marked[0].component, marked: marked.length }];
    }
    if (rows.some((row) => row.verdict !== null)) return ["calm", {}];
    const total = rows.find((row) => row.component === "all");
    if (!total || Math.min(total.production_events, total.ci_events) < SMALL_NUMBER) return ["few", {}];
    return ["unjudged", { production_rate: total.production_success_rate, ci_rate: total.ci_success_rate }];
  },
  test_environments: (rows) => {
    const events = sum(rows, "events");
    return ["some", { share: sum(rows.filter((row) => row.environment !== "production"), "events") / events, events }];
  },
};

// The events, or failures, behind a widget; `how` comes with the page.
function countOf(how, rows) {
  const counted = rows.filter((row) => !how.field || row[how.field] !== how.value);
  return how.fields.reduce((total, field) => total + sum(counted, field), 0);
}

// `{sentence, values, counted}` of a widget: a template, its values, and the events behind the widget.
function findingOf(widget, rows, parts) {
  const counted = countOf(widget.counted, rows);
  const named = rows.filter((row) => !isPooled(row));
  if (counted && !named.length) return { sentence: NONE_NAMED, values: { counted }, counted };
  const [key, values] = counted ? RULES[widget.name](named, parts) : NONE;
  const sentence = widget.sentences[key] ?? NO_EVENTS;
  return { sentence: counted && named.length < rows.length ? `${sentence}${AMONG}` : sentence, values, counted };
}
