// Escape sequences of terminals: colours and styles become runs of text, everything else disappears.
// A line begins with the style in which the line before it ended.

const STYLE = /\[([0-?]*)[ -/]*([@-~])/; // and moves of the cursor, which a page has none of
const LINK = /\](?:8;[^;\x07\x1b]*;([^\x07\x1b]*)|[^\x07\x1b]*)(?:\x07|\x1b\\)?/; // and titles
const SEQUENCE = new RegExp(`\\x1b(?:${STYLE.source}|${LINK.source}|[ -/]*[0-~])?`, "g");
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const STYLES = ["bold", "dim", "italic", "underline", "reverse", "conceal", "strike"];
const ON = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 8: "conceal", 9: "strike" };
const OFF = {
  22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["reverse"], 28: ["conceal"], 29: ["strike"],
};

export const PLAIN = Object.freeze({});

// A colour of the table of 256: the first 16 are the theme's, then a cube, then greys.
function ofTable(index) {
  if (index < 8) return { name: NAMES[index] };
  if (index < 16) return { name: `bright-${NAMES[index - 8]}` };
  if (index > 255) return undefined;
  if (index >= 232) return { rgb: Array(3).fill(8 + (index - 232) * 10) };
  const level = (value) => (value ? 55 + value * 40 : 0);
  const cube = index - 16;
  return { rgb: [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)] };
}

// A colour in the codes after 38 or 48; returns it, and how many codes it took.
function extended(codes, at) {
  if (codes[at] === 5) return [ofTable(codes[at + 1] ?? 0), 2];
  if (codes[at] !== 2) return [undefined, 1];
  const rgb = codes.slice(at + 1, at + 4);
  return [rgb.length === 3 && rgb.every((value) => value <= 255) ? { rgb } : undefined, 4];
}

function withCode(style, code) {
  if (code === 0) return PLAIN;
  if (ON[code]) return { ...style, [ON[code]]: true };
  const next = { ...style };
  for (const name of OFF[code] ?? []) delete next[name];
  if (code === 39) delete next.color;
  if (code === 49) delete next.background;
  if (code >= 30 && code <= 37) next.color = ofTable(code - 30);
  if (code >= 40 && code <= 47) next.background = ofTable(code - 40);
  if (code >= 90 && code <= 97) next.color = ofTable(code - 82);
  if (code >= 100 && code <= 107) next.background = ofTable(code - 92);
  return next;
}

function styled(style, parameters) {
  if (/[^0-9;:]/.test(parameters)) return style;
  // "38:2::1:2:3" has an empty place for a colour space; "4:0" is underline off.
  const text = parameters.replace(/4:0/g, "24").replace(/([34]8:2):\d*:(\d+:\d+:\d+)/g, "$1:$2");
  const codes = text.split(/[;:]/).map(Number);
  let next = style;
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code !== 38 && code !== 48) {
      next = withCode(next, code);
      continue;
    }
    const [colour, taken] = extended(codes, at + 1);
    if (colour) next = { ...next, [code === 38 ? "color" : "background"]: colour };
    at += taken;
  }
  return next;
}

// The style after this text, without its runs: for the many lines of a flood that are not drawn.
export function styleAfter(text, style) {
  if (!text.includes("\x1b")) return style;
  for (const [, parameters, final] of text.matchAll(SEQUENCE)) {
    if (final === "m") style = styled(style, parameters);
  }
  return style;
}

// The runs of a line: [{ text, style, href }].
export function runs(text, style) {
  if (!text.includes("\x1b")) return [{ text, style }];
  const found = [];
  let at = 0;
  let href;
  const add = (end) => end > at && found.push({ text: text.slice(at, end), style, href });
  for (const match of text.matchAll(SEQUENCE)) {
    add(match.index);
    at = match.index + match[0].length;
    if (match[2] === "m") style = styled(style, match[1]);
    if (match[3] !== undefined) href = /^https?:\/\/[^\s]+$/.test(match[3]) ? match[3] : undefined;
  }
  add(text.length);
  return found;
}

export function plain(text) {
  return text.includes("\x1b") ? text.replace(SEQUENCE, "") : text;
}

// The content security policy forbids style attributes in markup, but a script may set styles.
function colour(element, which, value) {
  const property = which === "fg" ? "color" : "backgroundColor";
  if (value.name) element.classList.add(`ansi-${value.name}-${which}`);
  else element.style[property] = `rgb(${value.rgb.join(",")})`;
}

export function drawn({ text, style, href }) {
  if (style === PLAIN && !href) return document.createTextNode(text);
  const element = document.createElement(href ? "a" : "span");
  element.textContent = text;
  if (href) Object.assign(element, { href, target: "_blank", rel: "noopener noreferrer" });
  for (const name of STYLES) {
    if (style[name]) element.classList.add(`ansi-${name}`);
  }
  const [front, back] = style.reverse ? [style.background, style.color] : [style.color, style.background];
  if (front) colour(element, "fg", front);
  else if (style.reverse) element.classList.add("ansi-reverse-fg");
  if (back) colour(element, "bg", back);
  else if (style.reverse) element.classList.add("ansi-reverse-bg");
  return element;
}
