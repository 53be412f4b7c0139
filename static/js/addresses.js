/* Lists of people as one writes and pastes them. The server's reading is the one that counts (webmail/mime). */

/* Pieces between , ; and line ends that are not inside of quotes, brackets or a comment. */
export function split(text) {
  const pieces = [];
  let piece = "", quoted = false, depth = 0;
  for (let i = 0; i < text.length; i += 1) {
    const letter = text[i];
    if (quoted && letter === "\\") { piece += letter + (text[i + 1] ?? ""); i += 1; continue; }
    if (letter === '"') quoted = !quoted;
    else if (!quoted && (letter === "<" || letter === "(")) depth += 1;
    else if (!quoted && (letter === ">" || letter === ")")) depth = Math.max(0, depth - 1);
    else if (!quoted && !depth && /[,;\n\r]/.test(letter)) { pieces.push(piece); piece = ""; continue; }
    piece += letter;
  }
  pieces.push(piece);
  return pieces.flatMap(several).map((one) => one.trim()).filter(Boolean);
}

/* "Friends: a@b" is a group of one (RFC 5322 §3.4); addresses with only blanks between them are several. */
function several(piece) {
  const members = piece.replace(/^\s*[^"<>@:]+:(?=\s*[^\s/])/, "");
  const words = members.trim().split(/\s+/);
  return words.length > 1 && words.every(isAddress) ? words : [members];
}

export function isAddress(text) {
  return /^("([^"\\]|\\.)+"|[^\s@<>()[\],;:"\\]+)@(\[[^\]\s]+\]|[^\s@<>()[\],;:"\\.]+(\.[^\s@<>()[\],;:"\\.]+)*)$/.test(text);
}

/* What a piece says: who it is, and whether it is an address at all. `text` is the piece as it goes to the server. */
export function read(piece) {
  const found = /^(.*)<([^<>]*)>$/s.exec(piece);
  const email = (found ? found[2] : piece).trim();
  const name = found ? found[1].trim().replace(/^"(.*)"$/s, "$1").replace(/\\(.)/g, "$1") : "";
  return { text: piece, name, email, good: isAddress(email) };
}
