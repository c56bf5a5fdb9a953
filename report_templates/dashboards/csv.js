// Drawn numbers as CSV, by the rules of reports/dashboards/csv_files.py. Not here: which rows.

const RUNS_IN_A_SPREADSHEET = /^ *[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** Rows as the text of a CSV file with these columns. */
function csvOf(rows, columns) {
  const lines = [columns.map(csvCell), ...rows.map((row) => columns.map((column) => csvCell(row[column])))];
  return `\ufeff${lines.map((cells) => `${cells.join(",")}\r\n`).join("")}`;
}

function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return plainNumber(value);
  const text = RUNS_IN_A_SPREADSHEET.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** All digits of a number, without an exponent. */
function plainNumber(value) {
  const [digits, exponent] = String(value).split("e");
  if (exponent === undefined) return digits;
  const [whole, fraction = ""] = digits.replace("-", "").split(".");
  const zeros = "0".repeat(-Number(exponent) - 1); // numbers on a page are counts, rates and chances, none of them huge
  return `${value < 0 ? "-" : ""}0.${zeros}${whole}${fraction}`;
}
