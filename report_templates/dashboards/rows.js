// The rows of any widget from the facts of its page and the filters, with the columns and the order of its SQL.
//
// Filters: `environment` (of the widgets that show one), `days` (7, 30, 90), `architecture` and `os` (a release), which
// are "all" when nothing is chosen. Without a choice of system the rows are those of the SQL. With one,
// - lines of environments stay, first and last sights and verdicts on commits are those over all systems;
// - nobody judged CI against production on a part of the systems: `chance_worse`, `verdict` and `is_marked` are null.
// Names that have no place of their own in the facts are one row, "others (n)", the last one.

const RATES = ["success_rate", "success_rate_low", "success_rate_high"];

/** Functions and columns by widget, and of its parts. */
const WIDGETS = {
  success_rate: {
    rows: successRate,
    columns: [
      "first_day", "last_day", "events", "successes", ...RATES, "events_before", "successes_before",
      "success_rate_before", "change_points", "events_everywhere", "successes_everywhere", "success_rate_everywhere",
      "success_rate_everywhere_low", "success_rate_everywhere_high",
    ],
  },
  daily_volume: { rows: dailyVolume, columns: ["event_date", "environment", "events", "installations"] },
  outcomes: { rows: outcomes, columns: ["outcome", "events", "share"] },
  environments: { rows: environments, columns: ["environment", "events", "installations"] },
  architecture_performance: {
    rows: architecturePerformance,
    columns: ["architecture", "events", "successes", "failures", ...RATES, "failure_rate"],
  },
  os_versions: {
    rows: osVersions,
    columns: [
      "os_family", "os_release", "events", "successes", "failures", ...RATES, "first_seen", "first_date", "is_new",
    ],
  },
  architecture_success: { rows: architectureSuccess, columns: ["architecture", "events", ...RATES] },
  os_version_trends: { rows: osVersionTrends, columns: ["event_date", "place", "os_family", "os_release", "events"] },
  component_success: {
    rows: componentSuccess,
    columns: ["component", "events", "successes", "failures", ...RATES, "machines", "machines_failing"],
  },
  problematic_components: {
    rows: problematicComponents,
    columns: ["place", "component", "error_type", "failures", "component_failures"],
  },
  component_trends: {
    rows: componentTrends,
    columns: ["event_date", "place", "component", "events", "successes", "success_rate"],
  },
  component_matrix: {
    rows: componentMatrix,
    columns: ["component", "architecture", "events", "successes", "success_rate"],
  },
  commit_table: {
    rows: commitTable,
    columns: [
      "commit_sha", "events", "successes", "failures", ...RATES, "failure_rate", "first_seen", "last_seen", "verdict",
      "is_regression",
    ],
  },
  version_rollback: {
    rows: versionRollback,
    columns: ["event_date", "place", "commit_sha", "events"],
    parts: {
      changes: { rows: leaderChanges, columns: ["event_date", "from_commit", "to_commit", "is_rollback"] },
    },
  },
  ci_comparison: {
    rows: ciComparison,
    columns: [
      "component",
      ...["production", "ci"].flatMap((side) => ["events", "successes", ...RATES].map((column) => `${side}_${column}`)),
      "gap_points", "chance_worse", "verdict", "is_marked",
    ],
    parts: {
      errors: { rows: ciErrors, columns: ["component", "environment", "place", "error_type", "failures"] },
    },
  },
  test_environments: { rows: testEnvironments, columns: ["environment", "events", "share"] },
};

/** The rows of a widget, and those of its parts by name. */
function rowsOf(widget, facts, filters) {
  const { rows, parts = {} } = WIDGETS[widget];
  const made = Object.entries(parts).map(([name, part]) => [name, part.rows(facts, filters)]);
  return { rows: rows(facts, filters), parts: Object.fromEntries(made) };
}

/** The names of the columns of a widget, or of one of its parts, in order. */
function columnsOf(widget, part = "") {
  return part ? WIDGETS[widget].parts[part].columns : WIDGETS[widget].columns;
}
