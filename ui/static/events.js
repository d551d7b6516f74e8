/** Server-sent events in the answer to a POST, which a browser's own EventSource does not make. */

/**
 * Each event of an answer of fetch, as {event, data}; data: its JSON, read. Leaving the loop ends the answer.
 * @param {Response} response
 */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { value = '', done } = await reader.read();
      const searched = Math.max(0, text.length - 1); // the end of an event may come in two pieces
      text += value;
      const end = text.lastIndexOf('\n\n');
      if (end >= searched) {
        yield* text.slice(0, end).split('\n\n').map(read).filter(Boolean);
        text = text.slice(end + 2);
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have failed already
  }
}

/** null for what says nothing, as a line that only keeps the connection open. */
function read(text) {
  const fields = text.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line) ?? []);
  const valuesOf = (name) => fields.filter(([, field]) => field === name).map(([, , value]) => value);
  const data = valuesOf('data').join('\n');
  return data ? { event: valuesOf('event').at(-1) ?? 'message', data: JSON.parse(data) } : null;
}
