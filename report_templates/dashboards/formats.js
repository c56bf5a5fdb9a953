// How a value reads: the same text as matokit_pipelines/reports/formats.py, held to the same cases by the tests.
// Not here: which value is shown where.

const NOTHING = "—";
const NARROW_SPACE = "\u202f";
const SPACE = "\u00a0";
const MINUS = "\u2212";
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const signOf = (value) => (value > 0 ? "+" : value < 0 ? MINUS : "±");

// Halves go to the even digit, as they do in Python; only m/4 (one decimal) and m/2 (none) are halves in binary.
function oneDecimal(value) {
  const quarters = 4 * value;
  if (!Number.isInteger(quarters) || quarters % 2 === 0) return value.toFixed(1);
  const low = Math.floor(10 * value);
  return ((low % 2 === 0 ? low : low + 1) / 10).toFixed(1);
}

function whole(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + Math.abs(low % 2) : Math.round(value);
}

const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE).replace("-", MINUS);
const change = (value) => signOf(value) + count(Math.abs(value));

function percent(value) {
  const shown = oneDecimal(100 * value);
  if (value < 1 && shown === "100.0") return `>${SPACE}99.9${SPACE}%`;
  if (value > 0 && shown === "0.0") return `<${SPACE}0.1${SPACE}%`;
  return `${shown}${SPACE}%`;
}

function percentChange(value) {
  const rounded = whole(100 * value);
  return `${signOf(rounded)}${count(Math.abs(rounded))}${SPACE}%`;
}

function points(value) {
  const shown = oneDecimal(100 * Math.abs(value));
  return `${signOf(Number(shown) ? value : 0)}${shown}${SPACE}points`;
}

const dateOf = (text) => new Date(`${text}T00:00:00Z`);
const day = (date) => `${date.getUTCDate()}${SPACE}${MONTHS[date.getUTCMonth()]}`;
const dayOfYear = (date) => `${day(date)}${SPACE}${date.getUTCFullYear()}`;
const month = (date) => `${MONTHS[date.getUTCMonth()]}${SPACE}${date.getUTCFullYear()}`;
const weekday = (date) => `${DAYS[date.getUTCDay()]}${SPACE}${day(date)}`;
const weekdayOfYear = (date) => `${weekday(date)}${SPACE}${date.getUTCFullYear()}`;

// The wall clock of a zone at an instant, as a date whose UTC fields are that clock's.
function wallClock(text, zone) {
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit",
    minute: "2-digit",
  });
  const part = Object.fromEntries(clock.formatToParts(new Date(text)).map(({ type, value }) => [type, Number(value)]));
  return new Date(Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute));
}

const hours = (date) => date.toISOString().slice(11, 16);
const plain = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");

const FORMS = {
  count,
  change,
  percent,
  percent_change: percentChange,
  points,
  percentage_points: (value) => points(value / 100),
  text: plain,
  day: (value) => day(dateOf(value)),
  day_of_year: (value) => dayOfYear(dateOf(value)),
  month: (value) => month(dateOf(value)),
  weekday: (value) => weekday(dateOf(value)),
  weekday_of_year: (value) => weekdayOfYear(dateOf(value)),
  instant: (value, zone) => {
    const clock = wallClock(value, zone);
    return `${weekday(clock)}${SPACE}${hours(clock)}`;
  },
  instant_of_year: (value, zone) => {
    const clock = wallClock(value, zone);
    return `${weekdayOfYear(clock)}${SPACE}${hours(clock)}`;
  },
};

// A value in the named form; a dash for null.
function inWords(value, form, zone) {
  return value === null || value === undefined ? NOTHING : FORMS[form](value, zone);
}

// A template ("{events|count} events") as pieces: text, and values with their field and form.
function piecesOf(template) {
  return template.split(/(\{[a-z0-9_.]+\|[a-z_]+\})/).filter(Boolean).map((piece) => {
    const place = /^\{([a-z0-9_.]+)\|([a-z_]+)\}$/.exec(piece);
    return place ? { field: place[1], form: place[2] } : { text: piece };
  });
}

const say = (template, values, zone) =>
  piecesOf(template).map((one) => (one.field ? inWords(values[one.field], one.form, zone) : one.text)).join("");
