// Rates and their bounds, as the macros of sql/macros.sql. Not here: what is counted.

const Z_95 = 1.96;
const Z_95_SQUARED = 3.8416; // as a database has it; multiplied here it would differ in the last digit

/** Successes / events; null without events. */
function rate(successes, events) {
  return events > 0 ? successes / events : null;
}

/** Lower end of the 95 % Wilson score interval (Wilson 1927); null without events. */
function wilsonLow(successes, events) {
  return events > 0 ? Math.max(0, Math.min(successes / events, wilsonEnd(successes, events, -1))) : null;
}

/** Its upper end. */
function wilsonHigh(successes, events) {
  return events > 0 ? Math.min(1, Math.max(successes / events, wilsonEnd(successes, events, 1))) : null;
}

function wilsonEnd(successes, events, side) {
  const share = successes / events;
  const spread = Z_95 * Math.sqrt((share * (1 - share)) / events + Z_95_SQUARED / (4 * events * events));
  return (share + Z_95_SQUARED / (2 * events) + side * spread) / (1 + Z_95_SQUARED / events);
}

/** Difference of two rates in percentage points; null when one of them is. */
function pointsBetween(now, before) {
  return now === null || before === null ? null : 100 * (now - before);
}
