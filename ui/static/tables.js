/** CSV tables of one shape put below one another, their numbers made to go on. */

/**
 * The rows of all tables below the first one's head. column: whose whole numbers go on, by `begins[n]` in table n.
 * Line ends, quotes and whether the last line has an end stay as they are.
 */
export function joinedTables(texts, begins, column) {
  const tables = texts.map(recordsOf);
  const end = texts[0].endsWith('\n') ? '' : '\n';
  const rows = tables.flatMap(([, ...records], n) => records.map((record) => counted(record, column, begins[n])));
  return end ? [tables[0][0], ...rows].map((record) => record.trimEnd()).join(end) : tables[0][0] + rows.join('');
}

/** Records with their line ends; a line end within quotes ends none. */
function recordsOf(text) {
  return text.match(/(?:"[^"]*"|[^"\n])*(?:\n|$)/g).filter((record) => record !== '');
}

function counted(record, column, begin) {
  let place = -1;
  return record.replace(/((?:"[^"]*"|[^",\n])*)(,|\r?\n|$)/g, (all, cell, end) => {
    place += 1;
    return place === column ? `${Number(cell) + begin}${end}` : all;
  });
}
