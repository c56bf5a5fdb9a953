// Rows of the widgets of deployment_tracking. Not here: choosing and adding up (counting.js).

const COMMITS_WITH_A_LINE = 8;
const ERROR_TYPES_NAMED = 3;
const SIDES = ["production", "ci"]; // their places are the column `side`

function inWindow(filters) {
  return (table, row) => table.window[row] === filters.days;
}

function commitDays(facts, filters) {
  return rowsIn(facts, "commit_days", filters, (table, row) => table.day[row] < filters.days);
}

function commitTable(facts, filters) {
  const { commits } = facts.tables;
  const last = facts.names.commit.length;
  const sums = summed(facts, "commit_days", commitDays(facts, filters), ["commit"], ["events", "failures"]);
  const known = new Map(sums.map((sum) => [sum.commit, sum]));
  const lives = [...commits.commit.keys()].filter((row) => known.has(commits.commit[row]));
  const rows = lives.map((row) => ({
    ...commitCounts(facts.names.commit[commits.commit[row]], known.get(commits.commit[row])),
    first_seen: commits.first_seen[row],
    last_seen: commits.last_seen[row],
    verdict: commits.verdict[row],
    is_regression: commits.verdict[row] === "worse",
  }));
  if (!known.has(last)) return rows;
  const others = nameAt(facts.names.commit, last, othersOf(facts, "commits_beyond", filters, inWindow(filters)));
  const unsaid = { [POOLED]: true, first_seen: null, last_seen: null, verdict: null, is_regression: null };
  return [...rows, { ...commitCounts(others, known.get(last)), ...unsaid }];
}

function commitCounts(commit, sum) {
  const successes = sum.events - sum.failures;
  return {
    commit_sha: commit,
    events: sum.events,
    successes,
    failures: sum.failures,
    success_rate: rate(successes, sum.events),
    success_rate_low: wilsonLow(successes, sum.events),
    success_rate_high: wilsonHigh(successes, sum.events),
    failure_rate: rate(sum.failures, sum.events),
  };
}

function versionRollback(facts, filters) {
  const last = facts.names.commit.length;
  const rows = commitDays(facts, filters);
  const commits = summed(facts, "commit_days", rows, ["commit"], ["events"]);
  const named = ordered(commits.filter((sum) => sum.commit < last), "-events", "commit");
  const lines = named.slice(0, COMMITS_WITH_A_LINE).map((sum) => sum.commit);
  const places = new Map(lines.map((commit, place) => [commit, place]));
  const sums = summed(facts, "commit_days", rows, ["commit", "day"], ["events"]);
  return linesByDay(facts, filters, sums, (sum) => places.get(sum.commit) ?? COMMITS_WITH_A_LINE, [
    ...lines.map((commit, place) => ({ key: place, name: { commit_sha: facts.names.commit[commit] } })),
    ...(commits.length > lines.length ? [{ key: COMMITS_WITH_A_LINE, name: { commit_sha: "other" } }] : []),
  ]);
}

/** Days on which another commit led than on the day before it that had events, as marts.commit_leader_changes. */
function leaderChanges(facts, filters) {
  const { commits } = facts.tables;
  const ages = new Map(commits.commit.map((commit, row) => [commit, commits.age[row]]));
  const rows = rowsIn(facts, "commit_days", filters, (table, row) => ages.has(table.commit[row]));
  const sums = summed(facts, "commit_days", rows, ["day", "commit"], ["events"]);
  const found = [];
  let former = null;
  let day = null;
  for (const sum of ordered(sums, "-day", "-events", "commit")) {
    if (sum.day === day) continue;
    day = sum.day;
    if (former !== null && former !== sum.commit && day < filters.days) {
      found.push({
        event_date: dayBefore(facts, day),
        from_commit: facts.names.commit[former],
        to_commit: facts.names.commit[sum.commit],
        is_rollback: ages.get(sum.commit) < ages.get(former),
      });
    }
    former = sum.commit;
  }
  return found;
}

/** The component places of a window in the order of the table: by name, those without a place, all (`ANY`). */
function sidesByComponent(facts, filters) {
  const rows = rowsIn(facts, "ci", filters, inWindow(filters));
  const found = new Map();
  const add = (component, sum) => {
    if (!found.has(component)) found.set(component, SIDES.map(() => ({ events: 0, failures: 0 })));
    const side = found.get(component)[sum.side];
    side.events += sum.events;
    side.failures += sum.failures;
  };
  const sums = ordered(summed(facts, "ci", rows, ["component", "side"], ["events", "failures"]), "component");
  for (const sum of sums) add(sum.component, sum);
  for (const sum of sums) add(ANY, sum);
  return found;
}

function ciNames(facts, filters) {
  const others = othersOf(facts, "ci_beyond", filters, inWindow(filters));
  return (place) => (place === ANY ? "all" : nameAt(facts.names.component, place, others));
}

function ciComparison(facts, filters) {
  const name = ciNames(facts, filters);
  const system = chosenSystem(facts, filters);
  const isWhole = system.architecture === null && system.releases === null;
  const judged = facts.tables.ci_verdicts;
  const verdicts = new Map();
  judged.component.forEach((component, row) => {
    if (isWhole && judged.window[row] === filters.days) verdicts.set(component, row);
  });
  const sideOf = (word, sum) => {
    const successes = sum.events - sum.failures;
    return {
      [`${word}_events`]: sum.events,
      [`${word}_successes`]: successes,
      [`${word}_success_rate`]: rate(successes, sum.events),
      [`${word}_success_rate_low`]: wilsonLow(successes, sum.events),
      [`${word}_success_rate_high`]: wilsonHigh(successes, sum.events),
    };
  };
  return [...sidesByComponent(facts, filters)].map(([component, [production, ci]]) => {
    const row = verdicts.get(component);
    const ours = sideOf("production", production);
    const theirs = sideOf("ci", ci);
    return {
      component: name(component),
      ...ours,
      ...theirs,
      gap_points: pointsBetween(theirs.ci_success_rate, ours.production_success_rate),
      chance_worse: row === undefined ? null : judged.chance_worse[row],
      verdict: row === undefined ? null : judged.verdict[row],
      is_marked: row === undefined ? null : judged.is_marked[row],
    };
  });
}

function ciErrors(facts, filters) {
  const name = ciNames(facts, filters);
  const named = facts.names.error_type.length;
  const rows = rowsIn(facts, "ci_errors", filters, (table, row) =>
    table.window[row] === filters.days && table.error_type[row] < named);
  const sums = summed(facts, "ci_errors", rows, ["component", "side", "error_type"], ["failures"]);
  const whole = summed(facts, "ci_errors", rows, ["side", "error_type"], ["failures"]);
  const all = whole.map((sum) => ({ ...sum, component: Infinity }));
  const places = new Map();
  return ordered([...sums, ...all], "component", "-side", "-failures", "error_type").flatMap((sum) => {
    const key = `${sum.component} ${sum.side}`;
    const place = (places.get(key) ?? 0) + 1;
    places.set(key, place);
    if (place > ERROR_TYPES_NAMED) return [];
    return [{
      component: name(sum.component === Infinity ? ANY : sum.component),
      environment: SIDES[sum.side],
      place,
      error_type: facts.names.error_type[sum.error_type],
      failures: sum.failures,
    }];
  });
}

function testEnvironments(facts, filters) {
  const rows = rowsIn(facts, "environments", filters, inWindow(filters));
  const sums = summed(facts, "environments", rows, ["environment"], ["events"]);
  const all = sums.reduce((sum, one) => sum + one.events, 0);
  return ordered(sums, "-events", "environment").map((sum) => ({
    environment: facts.names.environment[sum.environment],
    events: sum.events,
    share: rate(sum.events, all),
  }));
}
