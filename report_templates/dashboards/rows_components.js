// Rows of the widgets of component_analysis. Not here: choosing and adding up (counting.js).

const COMPONENTS_WITH_A_BAR = 10;
const COMPONENTS_WITH_A_LINE = 5;

/** Whether a row is of the chosen environment and window. */
function ofWindow(facts, filters) {
  const environment = environmentAt(facts, filters);
  return (table, row) => table.window[row] === filters.days && table.environment[row] === environment;
}

/** Sums by component (and more), the place of those without one of their own last. */
function byComponent(facts, filters, more, values) {
  const rows = rowsIn(facts, "components", filters, ofWindow(facts, filters));
  return summed(facts, "components", rows, ["component", ...more], values);
}

/** The name of a component's place under these filters. */
function componentNames(facts, filters) {
  const others = othersOf(facts, "components_beyond", filters, ofWindow(facts, filters));
  return (place) => nameAt(facts.names.component, place, others);
}

function pooledAt(facts, place) {
  return place === facts.names.component.length ? { [POOLED]: true } : {};
}

function componentSuccess(facts, filters) {
  const name = componentNames(facts, filters);
  const last = facts.names.component.length;
  const sums = byComponent(facts, filters, [], ["events", "failures", "machines", "machines_failing"]);
  const named = ordered(sums.filter((sum) => sum.component < last), "-failures", "-events", "component");
  return [...named, ...sums.filter((sum) => sum.component === last)].map((sum) => {
    const successes = sum.events - sum.failures;
    return {
      component: name(sum.component),
      ...pooledAt(facts, sum.component),
      events: sum.events,
      successes,
      failures: sum.failures,
      success_rate: rate(successes, sum.events),
      success_rate_low: wilsonLow(successes, sum.events),
      success_rate_high: wilsonHigh(successes, sum.events),
      machines: sum.machines,
      machines_failing: sum.machines_failing,
    };
  });
}

function problematicComponents(facts, filters) {
  const rows = rowsIn(facts, "errors", filters, ofWindow(facts, filters));
  const sums = summed(facts, "errors", rows, ["component", "error_type"], ["failures"]);
  const worst = ordered(summed(facts, "errors", rows, ["component"], ["failures"]), "-failures", "component");
  return worst.slice(0, COMPONENTS_WITH_A_BAR).flatMap((one, place) =>
    ordered(sums.filter((sum) => sum.component === one.component), "-failures", "error_type").map((sum) => ({
      place: place + 1,
      component: facts.names.component[one.component],
      error_type: errorTypeAt(facts, sum.error_type),
      failures: sum.failures,
      component_failures: one.failures,
    })));
}

function errorTypeAt(facts, place) {
  return facts.names.error_type[place] ?? "other kinds";
}

function componentTrends(facts, filters) {
  const last = facts.names.component.length;
  const sums = byComponent(facts, filters, [], ["events"]).filter((sum) => sum.component < last);
  const lines = ordered(sums, "-events", "component").slice(0, COMPONENTS_WITH_A_LINE);
  const environment = environmentAt(facts, filters);
  const rows = rowsIn(facts, "component_days", filters, (table, row) =>
    table.environment[row] === environment && table.day[row] < filters.days);
  const days = summed(facts, "component_days", rows, ["component", "day"], ["events", "failures"]);
  const known = new Map(days.map((sum) => [`${sum.component} ${sum.day}`, sum]));
  return daysOf(facts, filters).flatMap((day) => lines.map((line, place) => {
    const sum = known.get(`${line.component} ${day.ago}`);
    return {
      event_date: day.date,
      place: place + 1,
      component: facts.names.component[line.component],
      events: sum ? sum.events : day.nothing,
      successes: sum ? sum.events - sum.failures : day.nothing,
      success_rate: sum ? rate(sum.events - sum.failures, sum.events) : null,
    };
  }));
}

function componentMatrix(facts, filters) {
  const name = componentNames(facts, filters);
  const sums = byComponent(facts, filters, ["architecture"], ["events", "failures"]);
  return ordered(sums, "component", "architecture").map((sum) => ({
    component: name(sum.component),
    ...pooledAt(facts, sum.component),
    architecture: facts.names.architecture[sum.architecture],
    events: sum.events,
    successes: sum.events - sum.failures,
    success_rate: rate(sum.events - sum.failures, sum.events),
  }));
}
