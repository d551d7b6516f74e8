/** A random UUID; not `crypto.randomUUID`, which plain http to another machine lacks. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return hex(bytes).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

/** SHA-256 of a Blob in hex; null where the page has no `crypto.subtle` (plain http to another machine). */
export async function digest(blob) {
  if (!crypto.subtle) return null;
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())));
}

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
