// Rows of the widgets of installation_health and system_compatibility. Not here: choosing and adding up (counting.js).

const RELEASES_WITH_A_LINE = 6;
const NEW_FOR_DAYS = 7;

function environmentAt(facts, filters) {
  return facts.names.environment.indexOf(filters.environment);
}

/** Rows of `daily` of the chosen environment, system and window. */
function chosenDays(facts, filters) {
  const environment = environmentAt(facts, filters);
  return rowsIn(facts, "daily", filters, (table, row) =>
    table.environment[row] === environment && table.day[row] < filters.days);
}

function successRate(facts, filters) {
  const environment = environmentAt(facts, filters);
  const longest = Math.max(...facts.windows);
  const days = filters.days;
  const counted = (name, wanted) => {
    const sum = total(facts, name, rowsIn(facts, name, filters, wanted), ["events", "failures"]);
    return { events: sum.events, successes: sum.events - sum.failures };
  };
  const now = counted("daily", (t, row) => t.environment[row] === environment && t.day[row] < days);
  const before = days === longest
    ? counted("before", (t, row) => t.environment[row] === environment)
    : counted("daily", (t, row) =>
      t.environment[row] === environment && t.day[row] >= days && t.day[row] < 2 * days);
  const everywhere = counted("daily", (t, row) => t.day[row] < days);
  const rateNow = rate(now.successes, now.events);
  const rateBefore = rate(before.successes, before.events);
  return [{
    first_day: dayBefore(facts, days - 1),
    last_day: facts.last_day,
    events: now.events,
    successes: now.successes,
    success_rate: rateNow,
    success_rate_low: wilsonLow(now.successes, now.events),
    success_rate_high: wilsonHigh(now.successes, now.events),
    events_before: before.events,
    successes_before: before.successes,
    success_rate_before: rateBefore,
    change_points: pointsBetween(rateNow, rateBefore),
    events_everywhere: everywhere.events,
    successes_everywhere: everywhere.successes,
    success_rate_everywhere: rate(everywhere.successes, everywhere.events),
    success_rate_everywhere_low: wilsonLow(everywhere.successes, everywhere.events),
    success_rate_everywhere_high: wilsonHigh(everywhere.successes, everywhere.events),
  }];
}

/** Sums of events and installations of the window by key. Installations add up over architectures and not quite over
 * releases, so those over all releases lie beside the rest. */
function volumes(facts, filters, keys) {
  const inDays = (table, row) => table.day[row] < filters.days;
  const rows = rowsIn(facts, "daily", filters, inDays);
  const sums = summed(facts, "daily", rows, keys, ["events", "installations"]);
  if (chosenSystem(facts, filters).releases !== null) return sums;
  const whole = rowsIn(facts, "installations", filters, inDays);
  const installed = summed(facts, "installations", whole, keys, ["installations"]);
  const known = new Map(installed.map((sum) => [keys.map((key) => sum[key]).join(" "), sum.installations]));
  return sums.map((sum) => ({ ...sum, installations: known.get(keys.map((key) => sum[key]).join(" ")) }));
}

function dailyVolume(facts, filters) {
  const sums = volumes(facts, filters, ["day", "environment"]);
  const known = new Map(sums.map((sum) => [`${sum.day} ${sum.environment}`, sum]));
  return daysOf(facts, filters).flatMap((day) => facts.lines.map((environment) => {
    const sum = known.get(`${day.ago} ${environment}`);
    return {
      event_date: day.date,
      environment: facts.names.environment[environment],
      events: sum?.events || day.nothing,
      installations: sum?.installations || day.nothing,
    };
  }));
}

function outcomes(facts, filters) {
  const sum = total(facts, "daily", chosenDays(facts, filters), ["events", "failures", "unknown"]);
  const successes = sum.events - sum.failures;
  return [
    { outcome: "success", events: successes, share: rate(successes, sum.events) },
    { outcome: "failure", events: sum.failures, share: rate(sum.failures, sum.events) },
    { outcome: "unknown", events: sum.unknown, share: null },
  ];
}

function environments(facts, filters) {
  const sums = volumes(facts, filters, ["environment"]).filter((sum) => sum.events > 0);
  return ordered(sums, "-events", "environment").map((sum) => ({
    environment: facts.names.environment[sum.environment],
    events: sum.events,
    installations: sum.installations,
  }));
}

function architecturePerformance(facts, filters) {
  const sums = summed(facts, "daily", chosenDays(facts, filters), ["architecture"], ["events", "failures"]);
  return ordered(sums, "-events", "architecture").map((sum) => {
    const successes = sum.events - sum.failures;
    return {
      architecture: facts.names.architecture[sum.architecture],
      events: sum.events,
      successes,
      failures: sum.failures,
      success_rate: rate(successes, sum.events),
      success_rate_low: wilsonLow(successes, sum.events),
      success_rate_high: wilsonHigh(successes, sum.events),
      failure_rate: rate(sum.failures, sum.events),
    };
  });
}

function architectureSuccess(facts, filters) {
  return architecturePerformance(facts, filters).map((row) => ({
    architecture: row.architecture,
    events: row.events,
    success_rate: row.success_rate,
    success_rate_low: row.success_rate_low,
    success_rate_high: row.success_rate_high,
  }));
}

/** Whether a place stands for all releases that have none of their own. */
function isOtherRelease(facts, place) {
  return facts.has_other_os && place === facts.names.os.length - 1;
}

function osVersions(facts, filters) {
  const environment = environmentAt(facts, filters);
  const seen = facts.tables.first_seen;
  const firsts = new Map();
  seen.os.forEach((place, row) => {
    if (seen.environment[row] === environment) firsts.set(place, row);
  });
  const firstNewDay = dayBefore(facts, NEW_FOR_DAYS - 1);
  const isKnownBefore = facts.first_known_day !== null && facts.first_known_day < firstNewDay;
  const sums = summed(facts, "daily", chosenDays(facts, filters), ["os"], ["events", "failures"]);
  const named = ordered(sums.filter((sum) => !isOtherRelease(facts, sum.os)), "-events", "os");
  return [...named, ...sums.filter((sum) => isOtherRelease(facts, sum.os))].map((sum) => {
    const successes = sum.events - sum.failures;
    const row = firsts.get(sum.os);
    const firstDate = row === undefined ? null : seen.first_date[row];
    return {
      ...(isOtherRelease(facts, sum.os) ? { [POOLED]: true } : {}),
      os_family: facts.names.os[sum.os].family,
      os_release: facts.names.os[sum.os].release,
      events: sum.events,
      successes,
      failures: sum.failures,
      success_rate: rate(successes, sum.events),
      success_rate_low: wilsonLow(successes, sum.events),
      success_rate_high: wilsonHigh(successes, sum.events),
      first_seen: row === undefined ? null : seen.first_seen[row],
      first_date: firstDate,
      is_new: firstDate === null || !isKnownBefore ? null : firstDate >= firstNewDay && firstDate <= facts.last_day,
    };
  });
}

function osVersionTrends(facts, filters) {
  const sums = summed(facts, "daily", chosenDays(facts, filters), ["os", "day"], ["events"]);
  const releases = new Map();
  for (const sum of sums) releases.set(sum.os, (releases.get(sum.os) ?? 0) + sum.events);
  const named = [...releases].filter(([os]) => !isOtherRelease(facts, os)).map(([os, events]) => ({ os, events }));
  const lines = ordered(named, "-events", "os").slice(0, RELEASES_WITH_A_LINE).map((one) => one.os);
  const labels = lines.map((os) => facts.names.os[os]);
  const rest = releases.size > lines.length;
  const places = new Map(lines.map((os, place) => [os, place]));
  const other = { os_family: "other", os_release: "other", ...(lines.length ? {} : { [POOLED]: true }) };
  return linesByDay(facts, filters, sums, (sum) => places.get(sum.os) ?? RELEASES_WITH_A_LINE, [
    ...labels.map((one, place) => ({ key: place, name: { os_family: one.family, os_release: one.release } })),
    ...(rest ? [{ key: RELEASES_WITH_A_LINE, name: other }] : []),
  ]);
}

/** One row a day and line: sums of a table with `day` and `events`, each in the line that `lineOf` says. */
function linesByDay(facts, filters, sums, lineOf, lines) {
  const known = new Map();
  for (const sum of sums) {
    const key = `${sum.day} ${lineOf(sum)}`;
    known.set(key, (known.get(key) ?? 0) + sum.events);
  }
  return daysOf(facts, filters).flatMap((day) => lines.map((line) => ({
    event_date: day.date,
    place: line.key + 1,
    ...line.name,
    events: known.get(`${day.ago} ${line.key}`) ?? day.nothing,
  })));
}
