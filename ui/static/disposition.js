/**
 * The file name that an answer's `Content-Disposition` gives (RFC 6266): the full one, else the plain one, else null.
 */
export function fileNameIn(header) {
  if (!header) return null;
  const full = /;\s*filename\*\s*=\s*UTF-8'[^']*'([^;\s]+)/i.exec(header)?.[1];
  return decoded(full) ?? unquoted(/;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(header));
}

function decoded(text) {
  try {
    return text ? decodeURIComponent(text) : null;
  } catch {
    return null;
  }
}

const unquoted = (found) => found && (found[2] ?? found[1].replace(/\\(.)/g, '$1'));
