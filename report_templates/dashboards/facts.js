// Unpacking the facts that a page carries. Not here: what they hold (reports/dashboards/facts.py).

/** The facts of a page from their text: base64 of zlib-compressed JSON. */
async function unpackFacts(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}
